#include "order/store/order_rows.h"

namespace flotilla::order {
namespace {

using postgres::Array;
using postgres::Elements;
using postgres::Statement;
using postgres::Transaction;

const Statement kRead = {"read_orders", "SELECT " ORDER_COLUMNS R"(
    FROM unnest($1::text[], $2::uuid[]) AS i(user_id, order_id)
    JOIN orders o ON o.user_id = i.user_id AND o.order_id = i.order_id)"};

}  // namespace

Order FromRow(const postgres::Row& row) {
  Order order;
  order.user_id = row[0].c_str();
  order.order_id = row[1].c_str();
  order.idempotency_key = row[2].c_str();
  order.body_hash = postgres::FromBytes(row[3].c_str());
  order.state = static_cast<State>(row[4].as<int>());
  const auto skus = Elements(row[5]);
  const auto quantities = Elements(row[6]);
  const auto prices = Elements(row[7]);
  order.lines.reserve(skus.size());
  for (std::size_t i = 0; i < skus.size(); ++i) {
    order.lines.push_back({skus[i], std::stoll(quantities.at(i)), std::stoll(prices.at(i))});
  }
  order.currency = row[8].c_str();
  order.total = row[9].as<std::int64_t>();
  order.cancel_reason = row[10].c_str();
  order.version = row[11].as<std::int64_t>();
  order.created_at = absl::FromUnixMicros(row[12].as<std::int64_t>());
  order.updated_at = absl::FromUnixMicros(row[13].as<std::int64_t>());
  order.refunded = row[14].as<std::int64_t>();
  order.payment_method = static_cast<PaymentMethod>(row[15].as<int>());
  order.payment_reference = row[16].c_str();
  if (!row[17].is_null()) order.pay_by = absl::FromUnixSeconds(row[17].as<std::int64_t>());
  return order;
}

std::set<std::string> Ids(const postgres::Rows& rows) {
  std::set<std::string> ids;
  for (const auto& row : rows) ids.insert(row[0].c_str());
  return ids;
}

std::unordered_map<std::string, Order> ReadRows(Transaction& transaction, const std::vector<std::string>& users,
                                                const std::vector<std::string>& ids) {
  std::unordered_map<std::string, Order> found;
  for (const auto& row : transaction.Run(kRead, Array(users), Array(ids))) {
    Order order = FromRow(row);
    std::string id = order.order_id;
    found.emplace(std::move(id), std::move(order));
  }
  return found;
}

}  // namespace flotilla::order
