#include "order/store/order_store.h"

#include "order/store/order_rows.h"

namespace flotilla::order {
namespace {

using postgres::Statement;
using postgres::Transaction;

const Statement kListFirst = {"list_orders_first", "SELECT " ORDER_COLUMNS R"(
    FROM orders o WHERE o.user_id = $1 ORDER BY o.created_at DESC, o.order_id DESC LIMIT $2::int)"};

const Statement kListNext = {"list_orders_next", "SELECT " ORDER_COLUMNS R"(
    FROM orders o
    WHERE o.user_id = $1
      AND (o.created_at, o.order_id) < ('epoch'::timestamptz + $3::bigint * interval '1 microsecond', $4::uuid)
    ORDER BY o.created_at DESC, o.order_id DESC LIMIT $2::int)"};

const Statement kReadRefund = {"read_order_refund", R"(
    SELECT r.amount, r.return_stock,
           NOT EXISTS (SELECT 1 FROM order_refund l WHERE l.user_id = r.user_id AND l.order_id = r.order_id
                                                      AND l.created_at > r.created_at)
    FROM order_refund r WHERE r.user_id = $1 AND r.order_id = $2::uuid AND r.refund_id = $3)"};

}  // namespace

OrderStore::OrderStore(postgres::Options options, std::string saga_owner, absl::Duration saga_lease)
    : session_(std::move(options)), saga_owner_(std::move(saga_owner)), saga_lease_(saga_lease) {}

absl::StatusOr<std::vector<std::optional<Order>>> OrderStore::Read(std::span<const OrderKey> keys) {
  std::vector<std::string> users, ids;
  for (const OrderKey& key : keys) {
    users.push_back(key.user_id);
    ids.push_back(key.order_id);
  }
  std::vector<std::optional<Order>> results;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const auto found = ReadRows(transaction, users, ids);
    results.assign(keys.size(), std::nullopt);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto it = found.find(keys[i].order_id);
      if (it != found.end() && it->second.user_id == keys[i].user_id) results[i] = it->second;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::optional<Refund>> OrderStore::ReadRefund(const RefundKey& key) {
  std::optional<Refund> refund;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const postgres::Rows rows = transaction.Run(kReadRefund, key.order.user_id, key.order.order_id, key.refund_id);
    refund.reset();
    if (!rows.empty())
      refund = Refund{key.refund_id, rows[0][0].as<std::int64_t>(), rows[0][1].as<bool>(), rows[0][2].as<bool>()};
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return refund;
}

absl::StatusOr<std::vector<Order>> OrderStore::List(const ListQuery& query) {
  std::vector<Order> orders;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    orders.clear();
    const postgres::Rows rows =
        query.before.has_value() ? transaction.Run(kListNext, query.user_id, query.limit,
                                                   absl::ToUnixMicros(query.before->created_at), query.before->order_id)
                                 : transaction.Run(kListFirst, query.user_id, query.limit);
    for (const auto& row : rows) orders.push_back(FromRow(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return orders;
}

}  // namespace flotilla::order
