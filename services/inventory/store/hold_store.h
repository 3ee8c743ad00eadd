// Holds in PostgreSQL: the truth. Blocking; one method is one transaction. Errors as in postgres/session.h.
//
// Locks are taken in one order, reservations by order id and then SKUs by name, so that batches that meet queue up
// instead of deadlocking. Two cases are left to PostgreSQL's deadlock detection and a retry: a Reserve inserts its row
// while it holds the SKUs, and may meet the tombstone of a Release of the same order; and a Confirm locks its
// reservations as it finds them, and may meet another batch with two of the same orders.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inventory/domain/hold.h"
#include "postgres/session.h"

namespace flotilla::inventory {

struct ReleaseResult {
  Outcome outcome = Outcome::kOk;
  Returned returned;  // what came back, in this call or before
};

class HoldStore {
 public:
  explicit HoldStore(postgres::Options options) : session_(std::move(options)) {}

  // Results in the order of the arguments.
  absl::StatusOr<std::vector<ReserveResult>> Reserve(std::span<const ReserveCommand> commands);
  // An error may come after some of them were confirmed; to ask again finds them so.
  absl::StatusOr<std::vector<Outcome>> Confirm(std::span<const std::string> order_ids);
  absl::StatusOr<std::vector<ReleaseResult>> Release(std::span<const ReleaseCommand> commands);
  absl::StatusOr<std::vector<ExtendResult>> Extend(std::span<const ExtendCommand> commands);
  // Ends holds that have run out, at most `limit`; safe with any number of instances.
  absl::StatusOr<std::vector<Returned>> Expire(int limit);

 private:
  postgres::Session session_;
  bool hopeful_ = true;  // the last Reserve refused nobody, so the next one may well do the same
};

}  // namespace flotilla::inventory
