#include "order/store/order_by_hand.h"

#include "order/store/order_rows.h"

namespace flotilla::order {
namespace {

using postgres::Statement;
using postgres::Transaction;

const Statement kLock = {"lock_order", "SELECT " ORDER_COLUMNS R"(
    FROM orders o WHERE o.user_id = $1 AND o.order_id = $2::uuid FOR NO KEY UPDATE)"};

const Statement kWriteState = {"write_order_state", R"(
    UPDATE orders
    SET state = $3::smallint, version = $4::bigint, cancel_reason = $5, refunded = $6::bigint,
        updated_at = 'epoch'::timestamptz + $7::bigint * interval '1 microsecond'
    WHERE user_id = $1 AND order_id = $2::uuid)"};

const Statement kNow = {"order_now", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"};

}  // namespace

absl::Time Now(Transaction& transaction) {
  return absl::FromUnixMicros(transaction.Run(kNow)[0][0].as<std::int64_t>());
}

std::optional<Order> Lock(Transaction& transaction, const OrderKey& key) {
  const postgres::Rows rows = transaction.Run(kLock, key.user_id, key.order_id);
  if (rows.empty()) return std::nullopt;
  return FromRow(rows[0]);
}

void WriteState(Transaction& transaction, const Order& order, const events::Event& event) {
  transaction.Defer(kWriteState, order.user_id, order.order_id, static_cast<int>(order.state), order.version,
                    order.cancel_reason, order.refunded, absl::ToUnixMicros(order.updated_at));
  events::Append(transaction, {&event, 1});
}

}  // namespace flotilla::order
