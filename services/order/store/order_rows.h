// Within this room: rows of orders as values.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "order/domain/order.h"
#include "postgres/session.h"

namespace flotilla::order {

// Of orders o, as FromRow reads them.
#define ORDER_COLUMNS                                                                                                 \
  "o.user_id, o.order_id, o.idempotency_key, o.body_hash, o.state, o.skus, o.quantities, o.unit_prices, o.currency, " \
  "o.total, o.cancel_reason, o.version, (extract(epoch FROM o.created_at) * 1000000)::bigint, "                       \
  "(extract(epoch FROM o.updated_at) * 1000000)::bigint, o.refunded, o.payment_method, o.payment_reference, "         \
  "extract(epoch FROM o.pay_by)::bigint"

// Lines travel as one array literal a row. Times are microseconds since the epoch.
Order FromRow(const postgres::Row& row);
// The ids in the first column.
std::set<std::string> Ids(const postgres::Rows& rows);

// By order id. An id belongs to one user, but a caller may ask with a wrong one: then there is no row.
std::unordered_map<std::string, Order> ReadRows(postgres::Transaction& transaction,
                                                const std::vector<std::string>& users,
                                                const std::vector<std::string>& ids);

}  // namespace flotilla::order
