// What is to be settled, in the order of commits. Blocking and single-threaded, like LedgerStore.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/session.h"

namespace flotilla::payment {

class SettlementStore {
 public:
  explicit SettlementStore(postgres::Options options) : session_(std::move(options)) {}

  // Charges that are at least `age` old, and the cursor behind them.
  struct Due {
    std::vector<std::string> order_ids;
    std::string xid;  // empty: nothing is due, or another instance settles
    std::int64_t transfer_id = 0;
  };
  // Takes the cursor for a while, so that instances do not settle the same side by side.
  absl::StatusOr<Due> Claim(absl::Duration age, int limit);
  // They are settled: the cursor moves on and is free again. Settling is idempotent, so a cursor that did not move only
  // costs time.
  absl::Status Advance(const Due& due);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
