#include "inventory/store/hold_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "inventory/store/hold_rows.h"

namespace flotilla::inventory {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

const Statement kInsertTombstones = {"insert_tombstones", R"(
    INSERT INTO reservation (order_id, state)
    SELECT i.order_id, 3 FROM unnest($1::uuid[]) AS i(order_id) ORDER BY i.order_id
    ON CONFLICT (order_id) DO NOTHING RETURNING order_id)"};

// By the index of what is on hold, in the order of its end: rows that are still live or sold are not looked at.
const Statement kExpired = {"expired_holds", "SELECT " HOLD_COLUMNS R"(
    FROM reservation r WHERE r.state = 1 AND r.expires_at < now()
    ORDER BY r.expires_at LIMIT $1::int FOR NO KEY UPDATE SKIP LOCKED)"};

const Statement kExtend = {"extend_holds", R"(
    UPDATE reservation r
    SET expires_at = greatest(r.expires_at, now() + e.hold_us * interval '1 microsecond'), updated_at = now()
    FROM unnest($1::uuid[], $2::bigint[]) AS e(order_id, hold_us) WHERE r.order_id = e.order_id
    RETURNING r.order_id, (extract(epoch FROM r.expires_at) * 1000000)::bigint)"};

// Sells what the holds among these orders hold. By ANY, and not by the equal "state = 1": the planner would join with
// the index of all that is on hold, of which there was little when it looked.
const Statement kSell = {"sell_holds", R"(
    WITH held AS (
      UPDATE reservation SET state = 2, updated_at = now() WHERE order_id = ANY($1::uuid[]) AND state < 2
      RETURNING order_id, skus, quantities),
    change AS MATERIALIZED (
      SELECT l.sku, sum(l.units)::bigint AS units FROM held, unnest(held.skus, held.quantities) AS l(sku, units)
      GROUP BY l.sku ORDER BY l.sku),
    sold AS (
      UPDATE sku s SET reserved = s.reserved - c.units, sold = s.sold + c.units FROM change c WHERE s.sku = c.sku)
    SELECT order_id FROM held)"};

Outcome OutcomeOf(HoldState state) {
  switch (state) {
    case HoldState::kHeld:
      return Outcome::kOk;
    case HoldState::kConfirmed:
      return Outcome::kConfirmed;
    case HoldState::kReleased:
      return Outcome::kReleased;
    case HoldState::kExpired:
      return Outcome::kExpired;
  }
  return Outcome::kUnknownReservation;
}

}  // namespace

absl::StatusOr<std::vector<Outcome>> HoldStore::Confirm(std::span<const std::string> order_ids) {
  const std::set<std::string> unique(order_ids.begin(), order_ids.end());
  postgres::Answer sold;
  // A hold that has run out but was not swept yet may still be confirmed: its stock is there.
  const auto sell = [&] {
    return session_.Transact([&](Transaction& transaction) {
      sold = transaction.Ask(kSell, Array(std::vector<std::string>(unique.begin(), unique.end())));
      return absl::OkStatus();
    });
  };
  absl::Status status = sell();
  // As after a restart of the server, which shows when COMMIT has been sent with all else. It may be done twice.
  if (absl::IsUnknown(status)) status = sell();
  if (!status.ok()) return status;
  std::set<std::string> others = unique;
  for (const auto& row : sold.rows()) others.erase(row[0].c_str());
  // Each order stands for itself, so the others may be looked at now.
  Holds holds;
  const absl::Status read = others.empty() ? absl::OkStatus() : session_.Read([&](Transaction& transaction) {
    holds = ReadHolds(transaction, {others.begin(), others.end()});
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  std::vector<Outcome> results;
  for (const std::string& id : order_ids) {
    const auto it = holds.find(id);
    if (!others.contains(id)) {
      results.push_back(Outcome::kOk);
    } else if (it == holds.end()) {
      results.push_back(Outcome::kUnknownReservation);
    } else if (it->second.state == HoldState::kHeld) {
      return absl::UnavailableError("a reservation changed meanwhile; ask again");
    } else {
      const Outcome outcome = OutcomeOf(it->second.state);
      results.push_back(outcome == Outcome::kConfirmed ? Outcome::kOk : outcome);
    }
  }
  return results;
}

absl::StatusOr<std::vector<ReleaseResult>> HoldStore::Release(std::span<const ReleaseCommand> commands) {
  std::map<std::string, bool> wanted;  // order id -> return_sold by any of its commands
  for (const ReleaseCommand& command : commands) wanted[command.order_id] |= command.return_sold;
  std::vector<std::string> ids;
  ids.reserve(wanted.size());
  for (const auto& [id, return_sold] : wanted) ids.push_back(id);

  std::vector<ReleaseResult> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const Holds holds = LockHolds(transaction, ids);
    std::vector<std::string> tombstones, released;
    Changes changes;
    Purchases purchases;
    std::map<std::string, Returned> returned;
    for (const auto& [id, return_sold] : wanted) {
      const auto it = holds.find(id);
      if (it == holds.end()) {
        tombstones.push_back(id);
        continue;
      }
      const HoldState state = it->second.state;
      if (state == HoldState::kConfirmed && !return_sold) continue;
      if (state != HoldState::kReleased) released.push_back(id);
      // Its stock is back already; the gate may not know, where the answer or the process was lost before.
      const bool back = state == HoldState::kReleased || state == HoldState::kExpired;
      returned[id].limited_user = it->second.limited_user;
      for (const Line& line : it->second.hold.lines) {
        returned[id].skus.push_back(line.sku);
        if (back) continue;
        changes[line.sku].available += line.quantity;
        (state == HoldState::kHeld ? changes[line.sku].reserved : changes[line.sku].sold) -= line.quantity;
      }
      if (!back) purchases.AddLines(id, it->second);
    }
    if (!tombstones.empty()) {
      const auto rows = transaction.Run(kInsertTombstones, Array(tombstones));
      // A Reserve won the race; released on the next attempt.
      if (rows.size() != tombstones.size()) return absl::UnavailableError("a reservation changed meanwhile; ask again");
    }
    MoveHolds(transaction, released, HoldState::kReleased, changes);
    purchases.Delete(transaction);
    results.clear();
    for (const ReleaseCommand& command : commands) {
      const auto it = holds.find(command.order_id);
      const bool sold = it != holds.end() && it->second.state == HoldState::kConfirmed && !wanted.at(command.order_id);
      returned[command.order_id].order_id = command.order_id;
      results.push_back({sold ? Outcome::kConfirmed : Outcome::kOk, returned[command.order_id]});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<ExtendResult>> HoldStore::Extend(std::span<const ExtendCommand> commands) {
  std::map<std::string, std::int64_t> wanted;  // order id -> the longest of its commands, microseconds
  for (const ExtendCommand& command : commands) {
    std::int64_t& hold = wanted[command.order_id];
    hold = std::max(hold, absl::ToInt64Microseconds(command.hold));
  }
  std::vector<std::string> ids;
  ids.reserve(wanted.size());
  for (const auto& [id, hold] : wanted) ids.push_back(id);

  std::vector<ExtendResult> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    Holds holds = LockHolds(transaction, ids);
    std::vector<std::string> held;
    std::vector<std::int64_t> durations;
    for (const auto& [id, hold] : wanted) {
      const auto it = holds.find(id);
      if (it == holds.end() || it->second.state != HoldState::kHeld) continue;
      held.push_back(id);
      durations.push_back(hold);
    }
    if (!held.empty()) {
      for (const auto& row : transaction.Run(kExtend, Array(held), Array(durations))) {
        holds.at(row[0].c_str()).hold.expires_at = absl::FromUnixMicros(row[1].as<std::int64_t>());
      }
    }
    results.clear();
    for (const ExtendCommand& command : commands) {
      const auto it = holds.find(command.order_id);
      ExtendResult result{it == holds.end() ? Outcome::kUnknownReservation : OutcomeOf(it->second.state)};
      if (result.outcome == Outcome::kOk) result.hold = it->second.hold;
      results.push_back(std::move(result));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<Returned>> HoldStore::Expire(int limit) {
  std::vector<Returned> returned;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    returned.clear();
    std::vector<std::string> ids;
    Changes changes;
    Purchases purchases;
    for (const auto& row : transaction.Run(kExpired, limit)) {
      const StoredHold stored = HoldFrom(row);
      Returned item{row[0].c_str(), {}, stored.limited_user};
      for (const Line& line : stored.hold.lines) {
        changes[line.sku].available += line.quantity;
        changes[line.sku].reserved -= line.quantity;
        item.skus.push_back(line.sku);
      }
      purchases.AddLines(item.order_id, stored);
      ids.push_back(item.order_id);
      returned.push_back(std::move(item));
    }
    if (ids.empty()) return absl::OkStatus();
    MoveHolds(transaction, ids, HoldState::kExpired, changes);
    purchases.Delete(transaction);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return returned;
}

}  // namespace flotilla::inventory
