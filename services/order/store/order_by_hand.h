// One order in somebody else's transaction: an operator's, who ends a saga by word.
#pragma once

#include <optional>

#include "events/log.h"
#include "order/domain/order.h"
#include "order/store/order_store.h"
#include "postgres/session.h"

namespace flotilla::order {

// The database server's time, by which orders are dated.
absl::Time Now(postgres::Transaction& transaction);

// Nobody changes the order until the transaction's end. Nothing where there is no such order.
std::optional<Order> Lock(postgres::Transaction& transaction, const OrderKey& key);

// Writes the state of an order that is locked, with its event.
void WriteState(postgres::Transaction& transaction, const Order& order, const events::Event& event);

}  // namespace flotilla::order
