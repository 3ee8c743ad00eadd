#include "inventory/store/stock_store.h"

#include <set>
#include <unordered_map>

namespace flotilla::inventory {
namespace {

using postgres::Array;
using postgres::Elements;
using postgres::Statement;
using postgres::Transaction;

#define HOLD_COLUMNS                                                             \
  "r.order_id::text, r.state, r.skus, r.quantities, r.unit_prices, r.currency, " \
  "(extract(epoch FROM r.expires_at) * 1000000)::bigint"
#define SKU_COLUMNS "s.sku, s.name, s.price_minor, s.currency, s.available, s.reserved, s.sold"

const Statement kLockHolds = {"lock_holds", "SELECT " HOLD_COLUMNS R"(
    FROM reservation r WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.order_id FOR NO KEY UPDATE)"};

// Holds and then SKUs, in one round trip. The SKUs' rows have name, currency, price and available units in columns 0,
// 5, 6, 8.
const Statement kLockBoth = {"lock_holds_and_skus", R"(
    SELECT h.*, 0 AS kind, 0::bigint AS available FROM (SELECT )" HOLD_COLUMNS R"(
      FROM reservation r WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.order_id FOR NO KEY UPDATE) AS h
    UNION ALL
    SELECT s.sku, 0, NULL, NULL, NULL, s.currency, s.price_minor, 1, s.available
    FROM (SELECT * FROM sku WHERE sku = ANY($2::text[]) ORDER BY sku FOR NO KEY UPDATE) AS s)"};

// Takes an expired hold's row over; any other row of that order stays and is not returned.
const Statement kInsertHolds = {"insert_holds", R"(
    INSERT INTO reservation AS r (order_id, state, skus, quantities, unit_prices, currency, expires_at)
    SELECT i.order_id, 1, i.skus::text[], i.quantities::bigint[], i.unit_prices::bigint[], i.currency,
           now() + i.hold_us * interval '1 microsecond'
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bpchar[], $6::bigint[])
      AS i(order_id, skus, quantities, unit_prices, currency, hold_us)
    ORDER BY i.order_id
    ON CONFLICT (order_id) DO UPDATE
      SET state = 1, skus = excluded.skus, quantities = excluded.quantities, unit_prices = excluded.unit_prices,
          currency = excluded.currency, expires_at = excluded.expires_at, updated_at = now()
      WHERE r.state = 4
    RETURNING r.order_id, (extract(epoch FROM r.expires_at) * 1000000)::bigint)"};

const Statement kInsertTombstones = {"insert_tombstones", R"(
    INSERT INTO reservation (order_id, state)
    SELECT i.order_id, 3 FROM unnest($1::uuid[]) AS i(order_id) ORDER BY i.order_id
    ON CONFLICT (order_id) DO NOTHING RETURNING order_id)"};

// The array is sorted and drives the look-ups, so rows are locked in its order.
const Statement kMove = {"move_stock", R"(
    UPDATE sku s
    SET available = s.available + d.available, reserved = s.reserved + d.reserved, sold = s.sold + d.sold
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d(sku, available, reserved, sold)
    WHERE s.sku = d.sku)"};

// The same, and the state of holds, whose rows are locked already, in one round trip.
const Statement kMoveHolds = {"move_holds", R"(
    WITH hold AS (
      UPDATE reservation SET state = $6::smallint, updated_at = now() WHERE order_id = ANY($5::uuid[]))
    UPDATE sku s
    SET available = s.available + d.available, reserved = s.reserved + d.reserved, sold = s.sold + d.sold
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d(sku, available, reserved, sold)
    WHERE s.sku = d.sku)"};

const Statement kExpired = {"expired_holds", "SELECT " HOLD_COLUMNS R"(
    FROM reservation r WHERE r.state = 1 AND r.expires_at < now()
    ORDER BY r.expires_at LIMIT $1::int FOR NO KEY UPDATE SKIP LOCKED)"};

const Statement kPut = {"put_sku", R"(
    INSERT INTO sku AS s (sku, name, price_minor, currency, initial, available) VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (sku) DO UPDATE SET name = excluded.name, price_minor = excluded.price_minor, currency = excluded.currency
    RETURNING )" SKU_COLUMNS};

const Statement kInsertAdjustment = {"insert_adjustment", R"(
    INSERT INTO stock_adjustment (adjustment_id, sku, delta, reason)
    SELECT $1, $2, $3::bigint, $4 WHERE EXISTS (SELECT FROM sku WHERE sku = $2)
    ON CONFLICT (adjustment_id) DO NOTHING RETURNING adjustment_id)"};

const Statement kReadAdjustment = {"read_adjustment", R"(
    SELECT sku, delta FROM stock_adjustment WHERE adjustment_id = $1)"};

const Statement kAdjust = {"adjust_stock", R"(
    UPDATE sku s SET available = s.available + $2::bigint, adjusted = s.adjusted + $2::bigint
    WHERE s.sku = $1 AND s.available + $2::bigint >= 0
    RETURNING )" SKU_COLUMNS};

const Statement kRead = {"read_skus", "SELECT " SKU_COLUMNS " FROM sku s WHERE s.sku = ANY($1::text[])"};

const Statement kScan = {"scan_skus", "SELECT sku, available FROM sku WHERE sku > $1 ORDER BY sku LIMIT $2::int"};

#undef HOLD_COLUMNS
#undef SKU_COLUMNS

struct StoredHold {
  HoldState state;
  Hold hold;
};

// Summed changes, one row a SKU however many orders touch it.
struct Change {
  std::int64_t available = 0, reserved = 0, sold = 0;
};
using Changes = std::map<std::string, Change>;

StoredHold HoldFrom(const pqxx::row& row) {
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
  return stored;
}

Sku SkuFrom(const pqxx::row& row) {
  return {row[0].c_str(),
          row[1].c_str(),
          row[2].as<std::int64_t>(),
          row[3].c_str(),
          row[4].as<std::int64_t>(),
          row[5].as<std::int64_t>(),
          row[6].as<std::int64_t>()};
}

using Holds = std::unordered_map<std::string, StoredHold>;

Holds LockHolds(Transaction& transaction, const std::vector<std::string>& ids) {
  Holds holds;
  if (ids.empty()) return holds;
  for (const auto& row : transaction.Run(kLockHolds, Array(ids))) holds.emplace(row[0].c_str(), HoldFrom(row));
  return holds;
}

using Skus = std::unordered_map<std::string, Sku>;

void LockBoth(Transaction& transaction, const std::vector<std::string>& order_ids, const std::set<std::string>& names,
              Holds& holds, Skus& skus) {
  const std::vector<std::string> sorted(names.begin(), names.end());
  for (const auto& row : transaction.Run(kLockBoth, Array(order_ids), Array(sorted))) {
    if (row[7].as<int>() == 0) {
      holds.emplace(row[0].c_str(), HoldFrom(row));
      continue;
    }
    Sku sku;
    sku.sku = row[0].c_str();
    sku.currency = row[5].c_str();
    sku.price = row[6].as<std::int64_t>();
    sku.available = row[8].as<std::int64_t>();
    skus.emplace(row[0].c_str(), std::move(sku));
  }
}

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

// The answer to a Reserve of an order that has a row; nothing where its hold expired and may be made anew.
std::optional<ReserveResult> Answer(const StoredHold& stored, const ReserveCommand& command) {
  ReserveResult result;
  result.repeated = true;
  switch (stored.state) {
    case HoldState::kExpired:
      return std::nullopt;
    case HoldState::kReleased:
      result.outcome = Outcome::kReleased;
      return result;
    case HoldState::kHeld:
    case HoldState::kConfirmed:
      if (SameLines(stored.hold.lines, command.lines)) {
        result.hold = stored.hold;
      } else {
        result.outcome = Outcome::kMismatch;
      }
      return result;
  }
  return result;
}

// All lines or none, from what earlier orders of the batch have left.
ReserveResult Decide(const ReserveCommand& command, Skus& skus) {
  ReserveResult result;
  for (const Line& line : command.lines) {
    const auto it = skus.find(line.sku);
    if (it == skus.end()) return {Outcome::kUnknownSku, line.sku, {}, false};
    if (it->second.available < line.quantity) return {Outcome::kOutOfStock, line.sku, {}, false};
    if (!result.hold.currency.empty() && result.hold.currency != it->second.currency) {
      return {Outcome::kCurrencyMismatch, line.sku, {}, false};
    }
    result.hold.currency = it->second.currency;
    result.hold.lines.push_back({line.sku, line.quantity, it->second.price});
  }
  for (const Line& line : command.lines) skus.at(line.sku).available -= line.quantity;
  return result;
}

// Inserts the holds of the chosen commands; returns the expiry of those that are new.
std::unordered_map<std::string, absl::Time> InsertHolds(Transaction& transaction,
                                                        std::span<const ReserveCommand> commands,
                                                        const std::vector<std::size_t>& chosen,
                                                        const std::vector<ReserveResult>& results) {
  std::vector<std::string> ids, skus, quantities, prices, currencies;
  std::vector<std::int64_t> holds;
  for (const std::size_t i : chosen) {
    std::vector<std::string> line_skus;
    std::vector<std::int64_t> line_quantities, line_prices;
    for (const Line& line : results[i].hold.lines) {
      line_skus.push_back(line.sku);
      line_quantities.push_back(line.quantity);
      line_prices.push_back(line.unit_price);
    }
    ids.push_back(commands[i].order_id);
    skus.push_back(Array(line_skus));
    quantities.push_back(Array(line_quantities));
    prices.push_back(Array(line_prices));
    currencies.push_back(results[i].hold.currency);
    holds.push_back(absl::ToInt64Microseconds(commands[i].hold));
  }
  std::unordered_map<std::string, absl::Time> inserted;
  if (ids.empty()) return inserted;
  for (const auto& row : transaction.Run(kInsertHolds, Array(ids), Array(skus), Array(quantities), Array(prices),
                                         Array(currencies), Array(holds))) {
    inserted.emplace(row[0].c_str(), absl::FromUnixMicros(row[1].as<std::int64_t>()));
  }
  return inserted;
}

}  // namespace

absl::StatusOr<std::vector<ReserveResult>> StockStore::Reserve(std::span<const ReserveCommand> commands) {
  // A repeat in the same batch gets the answer of the first.
  std::unordered_map<std::string, std::size_t> first;
  std::vector<std::string> ids;
  std::set<std::string> skus;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (!first.emplace(commands[i].order_id, i).second) continue;
    ids.push_back(commands[i].order_id);
    for (const Line& line : commands[i].lines) skus.insert(line.sku);
  }
  std::vector<ReserveResult> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    results.assign(commands.size(), {});
    Holds holds;
    Skus stock;
    LockBoth(transaction, ids, skus, holds, stock);
    std::vector<std::size_t> chosen;
    for (const std::string& id : ids) {
      const std::size_t i = first.at(id);
      const auto hold = holds.find(id);
      const auto answer = hold == holds.end() ? std::nullopt : Answer(hold->second, commands[i]);
      results[i] = answer.has_value() ? *answer : Decide(commands[i], stock);
      if (!answer.has_value() && results[i].outcome == Outcome::kOk) chosen.push_back(i);
    }
    const auto inserted = InsertHolds(transaction, commands, chosen, results);
    Changes changes;
    std::vector<std::string> lost;
    for (const std::size_t i : chosen) {
      const auto it = inserted.find(commands[i].order_id);
      if (it == inserted.end()) {
        lost.push_back(commands[i].order_id);
        continue;
      }
      results[i].hold.expires_at = it->second;
      for (const Line& line : commands[i].lines) {
        changes[line.sku].available -= line.quantity;
        changes[line.sku].reserved += line.quantity;
      }
    }
    Move(transaction, changes);
    // Another instance wrote these orders' rows between our look and our insert.
    holds = LockHolds(transaction, lost);
    for (const std::string& id : lost) {
      const std::size_t i = first.at(id);
      const auto hold = holds.find(id);
      const auto answer = hold == holds.end() ? std::nullopt : Answer(hold->second, commands[i]);
      if (!answer.has_value()) return absl::UnavailableError("a reservation changed meanwhile; ask again");
      results[i] = *answer;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const std::size_t original = first.at(commands[i].order_id);
    if (original == i) continue;
    results[i] = results[original];
    if (results[i].outcome == Outcome::kOk && !SameLines(commands[original].lines, commands[i].lines)) {
      results[i] = {Outcome::kMismatch, "", {}, true};
    }
  }
  return results;
}

absl::StatusOr<std::vector<Outcome>> StockStore::Confirm(std::span<const std::string> order_ids) {
  const std::set<std::string> unique(order_ids.begin(), order_ids.end());
  std::vector<Outcome> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const Holds holds = LockHolds(transaction, {unique.begin(), unique.end()});
    std::vector<std::string> confirmed;
    Changes changes;
    for (const auto& [id, stored] : holds) {
      // A hold that has run out but was not swept yet may still be confirmed: its stock is there.
      if (stored.state != HoldState::kHeld) continue;
      confirmed.push_back(id);
      for (const Line& line : stored.hold.lines) {
        changes[line.sku].reserved -= line.quantity;
        changes[line.sku].sold += line.quantity;
      }
    }
    MoveHolds(transaction, confirmed, HoldState::kConfirmed, changes);
    results.clear();
    for (const std::string& id : order_ids) {
      const auto it = holds.find(id);
      if (it == holds.end()) {
        results.push_back(Outcome::kUnknownReservation);
      } else if (it->second.state == HoldState::kReleased) {
        results.push_back(Outcome::kReleased);
      } else if (it->second.state == HoldState::kExpired) {
        results.push_back(Outcome::kExpired);
      } else {
        results.push_back(Outcome::kOk);
      }
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<ReleaseResult>> StockStore::Release(std::span<const ReleaseCommand> commands) {
  std::map<std::string, bool> wanted;  // order id -> return_sold by any of its commands
  for (const ReleaseCommand& command : commands) wanted[command.order_id] |= command.return_sold;
  std::vector<std::string> ids;
  for (const auto& [id, return_sold] : wanted) ids.push_back(id);

  std::vector<ReleaseResult> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const Holds holds = LockHolds(transaction, ids);
    std::vector<std::string> tombstones, released;
    Changes changes;
    std::map<std::string, std::vector<std::string>> returned;
    for (const auto& [id, return_sold] : wanted) {
      const auto it = holds.find(id);
      if (it == holds.end()) {
        tombstones.push_back(id);
        continue;
      }
      const HoldState state = it->second.state;
      if (state == HoldState::kReleased || (state == HoldState::kConfirmed && !return_sold)) continue;
      released.push_back(id);
      if (state == HoldState::kExpired) continue;  // its stock is back already
      for (const Line& line : it->second.hold.lines) {
        changes[line.sku].available += line.quantity;
        (state == HoldState::kHeld ? changes[line.sku].reserved : changes[line.sku].sold) -= line.quantity;
        returned[id].push_back(line.sku);
      }
    }
    if (!tombstones.empty()) {
      const auto rows = transaction.Run(kInsertTombstones, Array(tombstones));
      // A Reserve won the race; released on the next attempt.
      if (rows.size() != tombstones.size()) return absl::UnavailableError("a reservation changed meanwhile; ask again");
    }
    MoveHolds(transaction, released, HoldState::kReleased, changes);
    results.clear();
    for (const ReleaseCommand& command : commands) {
      const auto it = holds.find(command.order_id);
      const bool sold = it != holds.end() && it->second.state == HoldState::kConfirmed && !wanted.at(command.order_id);
      results.push_back({sold ? Outcome::kConfirmed : Outcome::kOk, returned[command.order_id]});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<Returned>> StockStore::Expire(int limit) {
  std::vector<Returned> returned;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    returned.clear();
    std::vector<std::string> ids;
    Changes changes;
    for (const auto& row : transaction.Run(kExpired, limit)) {
      const StoredHold stored = HoldFrom(row);
      Returned item{row[0].c_str(), {}};
      for (const Line& line : stored.hold.lines) {
        changes[line.sku].available += line.quantity;
        changes[line.sku].reserved -= line.quantity;
        item.skus.push_back(line.sku);
      }
      ids.push_back(item.order_id);
      returned.push_back(std::move(item));
    }
    if (ids.empty()) return absl::OkStatus();
    MoveHolds(transaction, ids, HoldState::kExpired, changes);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return returned;
}

absl::StatusOr<Sku> StockStore::Put(const PutSkuCommand& command) {
  Sku sku;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    sku =
        SkuFrom(transaction.Run(kPut, command.sku, command.name, command.price, command.currency, command.initial)[0]);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return sku;
}

absl::StatusOr<AdjustResult> StockStore::Adjust(const AdjustCommand& command) {
  AdjustResult result;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const auto read_sku = [&]() -> bool {
      const auto rows = transaction.Run(kRead, Array(std::vector<std::string>{command.sku}));
      if (!rows.empty()) result.sku = SkuFrom(rows[0]);
      return !rows.empty();
    };
    result = {};
    if (transaction.Run(kInsertAdjustment, command.adjustment_id, command.sku, command.delta, command.reason).empty()) {
      const auto before = transaction.Run(kReadAdjustment, command.adjustment_id);
      if (before.empty()) {
        result.outcome = AdjustOutcome::kUnknownSku;
      } else if (before[0][0].c_str() != command.sku || before[0][1].as<std::int64_t>() != command.delta) {
        result.outcome = AdjustOutcome::kIdReused;
      } else {
        result.outcome = read_sku() ? AdjustOutcome::kRepeated : AdjustOutcome::kUnknownSku;
      }
      return absl::OkStatus();
    }
    const auto rows = transaction.Run(kAdjust, command.sku, command.delta);
    if (rows.empty()) {
      result.outcome = AdjustOutcome::kOutOfStock;
      return absl::CancelledError("the adjustment's row must not stay");
    }
    result.sku = SkuFrom(rows[0]);
    return absl::OkStatus();
  });
  if (!status.ok() && result.outcome != AdjustOutcome::kOutOfStock) return status;
  return result;
}

absl::StatusOr<std::map<std::string, Sku>> StockStore::Read(std::span<const std::string> skus) {
  const std::set<std::string> unique(skus.begin(), skus.end());
  std::map<std::string, Sku> found;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    found.clear();
    const std::vector<std::string> names(unique.begin(), unique.end());
    for (const auto& row : transaction.Run(kRead, Array(names))) found.emplace(row[0].c_str(), SkuFrom(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<std::vector<std::pair<std::string, std::int64_t>>> StockStore::Scan(const std::string& after,
                                                                                   int limit) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    out.clear();
    for (const auto& row : transaction.Run(kScan, after, limit)) {
      out.emplace_back(row[0].c_str(), row[1].as<std::int64_t>());
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

}  // namespace flotilla::inventory
