#include "payment/store/settlement_store.h"

#include "payment/store/rows.h"

namespace flotilla::payment {
namespace {

using postgres::Statement;
using postgres::Transaction;

// Longer than asking about a batch and settling it takes, like the turn of those that wait.
const Statement kClaim = {"claim_settlement", R"(
    UPDATE settlement_cursor SET lease_until = clock_timestamp() + interval '30 seconds'
    WHERE lease_until < clock_timestamp() RETURNING xid::text, transfer_id)"};

// Stops at the first one that is too young: created_at is when its transaction began, which need not be the order of
// commits. A charge that was given back or settled since is passed over. LIMIT 1 keeps the looking up of charges one by
// one, whatever the planner thinks of a table that has no statistics yet.
const Statement kDue = {"settlement_due", R"(
    SELECT t.xid::text, t.transfer_id, t.created_at <= now() - make_interval(secs => $3::float8),
           c.order_id, c.user_id, (extract(epoch FROM t.created_at) * 1000000)::bigint
    FROM transfer t
    LEFT JOIN LATERAL (
      SELECT * FROM charge WHERE order_id = CASE WHEN t.kind IN (2, 5, 7) THEN t.reference::uuid END
        AND state = 1 AND settled = 0 LIMIT 1) AS c ON true
    WHERE (t.xid, t.transfer_id) > ($1::xid8, $2::bigint) AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY t.xid, t.transfer_id LIMIT $4::int)"};

const Statement kAdvance = {"advance_settlement", R"(
    UPDATE settlement_cursor SET xid = $1::xid8, transfer_id = $2::bigint, lease_until = '-infinity'
    WHERE (xid, transfer_id) < ($1::xid8, $2::bigint))"};
const Statement kFree = {"free_settlement", "UPDATE settlement_cursor SET lease_until = '-infinity'"};

const Statement kWait = {"wait_for_settlement", R"(
    INSERT INTO settlement_wait (order_id, charged_at, standing, ask_at)
    SELECT order_id, 'epoch'::timestamptz + charged_us * interval '1 microsecond', standing,
           'epoch'::timestamptz + ask_us * interval '1 microsecond'
    FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[]) AS i(order_id, charged_us, standing, ask_us)
    ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING)"};

// A snapshot for both parts: a charge that is settled meanwhile stays, and goes with its next turn.
const Statement kClaimWaiting = {"claim_waiting", R"(
    WITH turn AS MATERIALIZED (
      SELECT order_id FROM settlement_wait WHERE ask_at <= 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
      ORDER BY ask_at LIMIT $1::int FOR UPDATE SKIP LOCKED),
    charged AS MATERIALIZED (
      SELECT c.order_id, c.user_id, c.state = 1 AND c.settled = 0 AS unsettled
      FROM turn, LATERAL (SELECT * FROM charge WHERE charge.order_id = turn.order_id LIMIT 1) AS c),
    over AS (
      DELETE FROM settlement_wait w USING charged c WHERE w.order_id = c.order_id AND NOT c.unsettled)
    UPDATE settlement_wait w SET ask_at = 'epoch'::timestamptz + $2::bigint * interval '1 microsecond' + interval '30 seconds'
    FROM charged c
    WHERE w.order_id = c.order_id AND c.unsettled
    RETURNING w.order_id, c.user_id, (extract(epoch FROM w.charged_at) * 1000000)::bigint, w.asked)"};

const Statement kEndWait = {"end_wait", "DELETE FROM settlement_wait WHERE order_id = ANY($1::uuid[])"};
const Statement kWaitOn = {"wait_on", R"(
    UPDATE settlement_wait w
    SET standing = i.standing, asked = w.asked + 1, ask_at = 'epoch'::timestamptz + i.ask_us * interval '1 microsecond'
    FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS i(order_id, standing, ask_us)
    WHERE w.order_id = i.order_id)"};

postgres::Parameter Orders(const std::vector<SettlementWait>& waits) {
  return TextColumn(waits, [](const SettlementWait& w) -> std::string_view { return w.charge.order_id; });
}
postgres::Parameter Standings(const std::vector<SettlementWait>& waits) {
  return NumberColumn(waits, [](const SettlementWait& w) { return w.standing; });
}
postgres::Parameter AskTimes(const std::vector<SettlementWait>& waits) {
  return NumberColumn(waits, [](const SettlementWait& w) { return absl::ToUnixMicros(w.ask_at); });
}

Unsettled UnsettledOf(const postgres::Row& row, int first) {
  return {.order_id = row[first].c_str(),
          .user_id = row[first + 1].c_str(),
          .charged_at = absl::FromUnixMicros(row[first + 2].as<std::int64_t>())};
}

}  // namespace

absl::StatusOr<SettlementStore::Due> SettlementStore::Claim(absl::Duration age, int limit) {
  Due due;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    due = {};
    const postgres::Rows cursor = transaction.Run(kClaim);
    if (cursor.empty()) return absl::OkStatus();
    for (const auto& row : transaction.Run(kDue, cursor[0][0].c_str(), cursor[0][1].as<std::int64_t>(),
                                           absl::ToDoubleSeconds(age), limit)) {
      if (!row[2].as<bool>()) break;
      due.xid = row[0].c_str();
      due.transfer_id = row[1].as<std::int64_t>();
      if (!row[3].is_null()) due.charges.push_back(UnsettledOf(row, 3));
    }
    if (due.xid.empty()) transaction.Defer(kFree);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return due;
}

absl::Status SettlementStore::Advance(const Due& due, const std::vector<SettlementWait>& waits) {
  return session_.Transact([&](Transaction& transaction) {
    if (!waits.empty()) {
      transaction.Defer(
          kWait, Orders(waits),
          NumberColumn(waits, [](const SettlementWait& w) { return absl::ToUnixMicros(w.charge.charged_at); }),
          Standings(waits), AskTimes(waits));
    }
    transaction.Defer(kAdvance, due.xid, due.transfer_id);
    return absl::OkStatus();
  });
}

absl::Status SettlementStore::Free() {
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kFree);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Unsettled>> SettlementStore::ClaimWaiting(absl::Time now, int limit) {
  std::vector<Unsettled> charges;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    charges.clear();
    for (const auto& row : transaction.Run(kClaimWaiting, limit, absl::ToUnixMicros(now))) {
      charges.push_back(UnsettledOf(row, 0));
      charges.back().asked = row[3].as<int>();
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return charges;
}

absl::Status SettlementStore::Keep(const SettlementPlan& plan) {
  return session_.Transact([&](Transaction& transaction) {
    if (!plan.settle.empty()) transaction.Defer(kEndWait, postgres::Array(plan.settle));
    if (!plan.wait.empty()) transaction.Defer(kWaitOn, Orders(plan.wait), Standings(plan.wait), AskTimes(plan.wait));
    return absl::OkStatus();
  });
}

}  // namespace flotilla::payment
