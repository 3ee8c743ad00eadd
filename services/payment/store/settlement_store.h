// Which charges are to be settled: those that the cursor comes to, in the order of commits, and those that wait behind
// it for their orders. Blocking and single-threaded, like LedgerStore. Any number of instances share the work.
//
// A charge is settled or waits before the cursor has passed it, and waits until it is settled or given back: at no
// moment can a kill lose one. What is done twice costs time only, since settling is idempotent.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/settlement_plan.h"
#include "postgres/session.h"

namespace flotilla::payment {

class SettlementStore {
 public:
  explicit SettlementStore(postgres::Options options) : session_(std::move(options)) {}

  // Charges that are at least `age` old, and the cursor behind them.
  struct Due {
    std::vector<Unsettled> charges;
    std::string xid;  // empty: nothing is due, or another instance has the cursor
    std::int64_t transfer_id = 0;
  };
  // Takes the cursor for a while, so that instances do not ask about the same side by side.
  absl::StatusOr<Due> Claim(absl::Duration age, int limit);
  // The cursor moves on and is free again: what was due is settled, or waits from now on.
  absl::Status Advance(const Due& due, const std::vector<SettlementWait>& waits);
  // The cursor is free again, where it stands.
  absl::Status Free();

  // Charges that wait and whose turn it is at `now`, by the clock that the plan uses, for a while: unless Keep says
  // otherwise they have their next turn soon.
  // Those that were settled or given back since wait no longer.
  absl::StatusOr<std::vector<Unsettled>> ClaimWaiting(absl::Time now, int limit);
  // What becomes of these: some are settled, the others wait on.
  absl::Status Keep(const SettlementPlan& plan);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
