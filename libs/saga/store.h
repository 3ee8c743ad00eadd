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

enum class HistoryKind : int { kAttemptFailed = 1, kTakenOver = 2, kParked = 3, kCompleted = 4, kCompensated = 5 };

// A line of a saga's history: a failed attempt, or its end.
struct Remark {
  HistoryKind kind = HistoryKind::kAttemptFailed;
  std::string type, id;
  std::string step = {};  // of a failed attempt, as the rest
  int attempt = 0;
  std::string error = {};
};

// What is known of a claim.
enum class Hold { kHeld, kLost, kUnsure /* somebody has the record locked, perhaps to take it over */ };

struct Claimed {
  Record record;
  absl::Duration waited;  // since its lease ran out
  bool orphaned = true;   // from an owner; else nobody has had it
  bool troubled = false;  // it has a history
  int takeovers = 0;      // this one too, where it is an orphan
};

struct Summary {
  std::int64_t open = 0;
  std::int64_t parked = 0;
  double oldest_seconds = 0;  // of the open ones
  std::int64_t unknown = 0;   // open, and of no definition that is known here
};

class Store {
 public:
  explicit Store(postgres::Options options) : session_(std::move(options)) {}

  // Takes over records whose lease and whose owner's lease have run out, oldest first.
  absl::StatusOr<std::vector<Claimed>> Claim(const std::string& owner, absl::Duration lease,
                                             std::span<const KnownDefinition> known, std::size_t limit);
  // Prolongs the lease of an owner, which covers all its records. False where it had run out or never was: then others
  // may have taken records over.
  absl::StatusOr<bool> Renew(const std::string& owner, absl::Duration lease);
  // Whether the fences still hold. Waits for no lock. While the owner's lease lasts, whatever is held stays so.
  absl::StatusOr<std::vector<Hold>> Look(std::span<const Record> records);
  // This owner's records whose own lease has run out.
  absl::StatusOr<std::vector<Record>> Overdue(const std::string& owner);  // type, id and fence only
  // Gives up records where the fence still holds: nobody's, for anybody to take over.
  absl::Status Disown(const std::string& owner, std::span<const Record> records);
  // Ends the leases of an owner and of its records. Waits for no lock: a record that another transaction holds keeps
  // its own.
  absl::Status Leave(const std::string& owner, std::span<const Record> records);
  // True where the fence still held.
  absl::StatusOr<std::vector<bool>> Decide(std::span<const Decision> decisions);
  absl::Status WriteHistory(const std::string& owner, std::span<const Remark> remarks);
  absl::StatusOr<Summary> Summarize(std::span<const KnownDefinition> known);
  // Deletes what is older of the archive and of the history of sagas that have ended, and owners long gone; a thousand
  // rows of each at most. True where there may be more.
  absl::StatusOr<bool> DropOld(absl::Duration age);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::saga
