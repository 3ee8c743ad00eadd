// An order's state in somebody else's transaction.
#pragma once

#include <optional>

#include "order/domain/order.h"
#include "order/store/order_store.h"
#include "postgres/session.h"

namespace flotilla::order {

// Nobody changes the order until the transaction's end. Nothing where there is no such order.
std::optional<State> LockState(postgres::Transaction& transaction, const OrderKey& key);

}  // namespace flotilla::order
