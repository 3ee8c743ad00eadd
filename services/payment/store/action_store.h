// Everything that happens to charges beside the hot path, in PostgreSQL: loads a Work, has the rules decide over it,
// writes what comes out, in one transaction over a whole batch. Blocking and single-threaded, like LedgerStore.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "payment/domain/action.h"
#include "postgres/database_clock.h"
#include "postgres/session.h"

namespace flotilla::payment {

class ActionStore {
 public:
  // Deadlines are judged by `clock`, which outlives the store.
  ActionStore(postgres::Options options, SplitRule split, const postgres::DatabaseClock& clock)
      : session_(std::move(options)), split_(split), clock_(clock) {}

  // Answers in the order of the actions. An error is the whole batch's: see Session::Transact for what it means.
  // Everything may be asked again: a repeat gets the first answer. `told` (may be null): what was told in events, for
  // metrics and logs.
  absl::StatusOr<std::vector<ActionResult>> Apply(std::span<const Action> actions, std::vector<Work::Told>* told);
  // Orders whose authorization or wait has run out by `now`, oldest first. Not by the statement's own now(): what
  // Apply's clock finds too early would be found again and again.
  absl::StatusOr<std::vector<std::string>> Expired(absl::Time now, int limit);

 private:
  postgres::Session session_;
  const SplitRule split_;
  const postgres::DatabaseClock& clock_;
  SystemAccounts system_;
};

}  // namespace flotilla::payment
