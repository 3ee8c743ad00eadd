#include "inventory/store/hold_rows.h"

namespace flotilla::inventory {
namespace {

using postgres::Array;
using postgres::Elements;
using postgres::Statement;
using postgres::Transaction;

const Statement kLockHolds = {"lock_holds", "SELECT " HOLD_COLUMNS R"(
    FROM reservation r WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.order_id FOR NO KEY UPDATE)"};

const Statement kReadHolds = {"read_holds",
                              "SELECT " HOLD_COLUMNS " FROM reservation r WHERE r.order_id = ANY($1::uuid[])"};

// The array is sorted and drives the look-ups, so rows are locked in its order.
const Statement kMove = {"move_stock", R"(
    UPDATE sku s
    SET available = s.available + d.available, reserved = s.reserved + d.reserved, sold = s.sold + d.sold
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d(sku, available, reserved, sold)
    WHERE s.sku = d.sku)"};

const Statement kMoveHolds = {"move_holds", R"(
    WITH hold AS (
      UPDATE reservation SET state = $6::smallint, updated_at = now() WHERE order_id = ANY($5::uuid[]))
    UPDATE sku s
    SET available = s.available + d.available, reserved = s.reserved + d.reserved, sold = s.sold + d.sold
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d(sku, available, reserved, sold)
    WHERE s.sku = d.sku)"};

const Statement kInsertPurchases = {"insert_purchases", R"(
    INSERT INTO purchase (sku, user_id, order_id, units, user_limit)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[]))"};

const Statement kDeletePurchases = {"delete_purchases", R"(
    DELETE FROM purchase p USING unnest($1::text[], $2::text[], $3::uuid[]) AS d(sku, user_id, order_id)
    WHERE p.sku = d.sku AND p.user_id = d.user_id AND p.order_id = d.order_id)"};

struct ChangeArrays {
  explicit ChangeArrays(const Changes& changes) {
    for (const auto& [sku, change] : changes) {
      if (change.available == 0 && change.reserved == 0 && change.sold == 0) continue;
      skus.push_back(sku);
      available.push_back(change.available);
      reserved.push_back(change.reserved);
      sold.push_back(change.sold);
    }
  }
  std::vector<std::string> skus;
  std::vector<std::int64_t> available, reserved, sold;
};

Holds HoldsBy(Transaction& transaction, const Statement& statement, const std::vector<std::string>& order_ids) {
  Holds holds;
  if (order_ids.empty()) return holds;
  for (const auto& row : transaction.Run(statement, Array(order_ids))) holds.emplace(row[0].c_str(), HoldFrom(row));
  return holds;
}

}  // namespace

StoredHold HoldFrom(const postgres::Row& row) {
  StoredHold stored;
  stored.state = static_cast<HoldState>(row[1].as<int>());
  const auto skus = Elements(row[2]);
  const auto quantities = Elements(row[3]);
  const auto prices = Elements(row[4]);
  for (std::size_t i = 0; i < skus.size(); ++i) {
    stored.hold.lines.push_back({skus[i], std::stoll(quantities.at(i)), std::stoll(prices.at(i))});
  }
  stored.hold.currency = row[5].c_str();
  stored.hold.expires_at = absl::FromUnixMicros(row[6].as<std::int64_t>());
  stored.limited_user = row[7].c_str();
  return stored;
}

Holds LockHolds(Transaction& transaction, const std::vector<std::string>& order_ids) {
  return HoldsBy(transaction, kLockHolds, order_ids);
}

Holds ReadHolds(Transaction& transaction, const std::vector<std::string>& order_ids) {
  return HoldsBy(transaction, kReadHolds, order_ids);
}

void Move(Transaction& transaction, const Changes& changes) {
  const ChangeArrays c(changes);
  if (c.skus.empty()) return;
  transaction.Defer(kMove, Array(c.skus), Array(c.available), Array(c.reserved), Array(c.sold));
}

void MoveHolds(Transaction& transaction, const std::vector<std::string>& order_ids, HoldState state,
               const Changes& changes) {
  if (order_ids.empty()) return;
  const ChangeArrays c(changes);
  transaction.Defer(kMoveHolds, Array(c.skus), Array(c.available), Array(c.reserved), Array(c.sold), Array(order_ids),
                    static_cast<int>(state));
}

void Purchases::Add(const std::string& sku, const std::string& user_id, const std::string& order_id, std::int64_t units,
                    std::int64_t limit) {
  skus_.push_back(sku);
  users_.push_back(user_id);
  orders_.push_back(order_id);
  units_.push_back(units);
  limits_.push_back(limit);
}

void Purchases::AddLines(const std::string& order_id, const StoredHold& stored) {
  if (stored.limited_user.empty()) return;
  for (const Line& line : stored.hold.lines) Add(line.sku, stored.limited_user, order_id, line.quantity, 0);
}

void Purchases::Insert(Transaction& transaction) const {
  if (skus_.empty()) return;
  transaction.Defer(kInsertPurchases, Array(skus_), Array(users_), Array(orders_), Array(units_), Array(limits_));
}

void Purchases::Delete(Transaction& transaction) const {
  if (skus_.empty()) return;
  transaction.Defer(kDeletePurchases, Array(skus_), Array(users_), Array(orders_));
}

}  // namespace flotilla::inventory
