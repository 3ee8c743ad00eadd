// The sagas' records. Blocking; one method is one transaction. Errors as in postgres/session.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "saga/saga.h"

namespace flotilla::saga {

// Records of one definition that this build can run.
struct KnownDefinition {
  std::string type;
  int version = 1;
};

// A change of direction: to compensating, with the reason, or to parked, with the step and its error.
struct Decision {
  Record record;
  Direction direction = Direction::kCompensating;
  std::string text;
  std::string step = {};     // parked at
  bool compensable = false;  // parked, and may still go back
};

// A failed attempt, for the saga's history.
struct Failure {
  std::string type, id, step;
  int attempt = 1;
  std::string error;
};

struct Claimed {
  Record record;
  absl::Duration waited;  // since its lease ran out
};

struct Summary {
  std::int64_t open = 0;
  std::int64_t parked = 0;
  double oldest_seconds = 0;  // of the open ones
};

class Store {
 public:
  explicit Store(postgres::Options options) : session_(std::move(options)) {}

  // Takes over records whose lease has run out, oldest first.
  absl::StatusOr<std::vector<Claimed>> Claim(const std::string& owner, absl::Duration lease,
                                             std::span<const KnownDefinition> known, std::size_t limit);
  // Prolongs leases; true where the fence still holds. Waits for no lock: a row that another transaction holds is left
  // as it is.
  absl::StatusOr<std::vector<bool>> Renew(std::span<const Record> records, absl::Duration lease);
  // True where the fence still held.
  absl::StatusOr<std::vector<bool>> Decide(std::span<const Decision> decisions);
  absl::Status WriteHistory(const std::string& owner, std::span<const Failure> failures);
  absl::StatusOr<Summary> Summarize();
  // Deletes what is older of the history and the archive, a thousand rows of each at most.
  absl::Status DropOld(absl::Duration age);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::saga
