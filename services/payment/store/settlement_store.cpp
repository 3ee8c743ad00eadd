#include "payment/store/settlement_store.h"

namespace flotilla::payment {
namespace {

using postgres::Statement;
using postgres::Transaction;

// Longer than settling a batch takes.
const Statement kClaim = {"claim_settlement", R"(
    UPDATE settlement_cursor SET lease_until = clock_timestamp() + interval '30 seconds'
    WHERE lease_until < clock_timestamp() RETURNING xid::text, transfer_id)"};

// Stops at the first one that is too young: created_at is when its transaction began, which need not be the order of
// commits.
const Statement kDue = {"settlement_due", R"(
    SELECT t.xid::text, t.transfer_id, t.kind IN (2, 5, 7), t.reference,
           t.created_at <= now() - make_interval(secs => $3::float8)
    FROM transfer t
    WHERE (t.xid, t.transfer_id) > ($1::xid8, $2::bigint) AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY t.xid, t.transfer_id LIMIT $4::int)"};

const Statement kAdvance = {"advance_settlement", R"(
    UPDATE settlement_cursor SET xid = $1::xid8, transfer_id = $2::bigint, lease_until = '-infinity'
    WHERE (xid, transfer_id) < ($1::xid8, $2::bigint))"};
const Statement kFree = {"free_settlement", "UPDATE settlement_cursor SET lease_until = '-infinity'"};

}  // namespace

absl::StatusOr<SettlementStore::Due> SettlementStore::Claim(absl::Duration age, int limit) {
  Due due;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    due = {};
    const pqxx::result cursor = transaction.Run(kClaim);
    if (cursor.empty()) return absl::OkStatus();
    for (const auto& row : transaction.Run(kDue, cursor[0][0].c_str(), cursor[0][1].as<std::int64_t>(),
                                           absl::ToDoubleSeconds(age), limit)) {
      if (!row[4].as<bool>()) break;
      due.xid = row[0].c_str();
      due.transfer_id = row[1].as<std::int64_t>();
      if (row[2].as<bool>()) due.order_ids.emplace_back(row[3].c_str());
    }
    if (due.xid.empty()) transaction.Defer(kFree);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return due;
}

absl::Status SettlementStore::Advance(const Due& due) {
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kAdvance, due.xid, due.transfer_id);
    return absl::OkStatus();
  });
}

}  // namespace flotilla::payment
