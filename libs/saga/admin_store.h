// What operators see of sagas and do with them. Blocking; one method is one transaction. Errors as in
// postgres/session.h; acts also: NOT_FOUND (UNKNOWN_SAGA), FAILED_PRECONDITION (SAGA_NOT_PARKED, SAGA_PAST_PIVOT).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/session.h"
#include "saga/store.h"

namespace flotilla::saga {

// kResolved: ended by an operator's word. kEnded: it had trouble, which its history tells, and has ended since.
enum class State : int { kForward = 0, kCompensating = 1, kParked = 2, kResolved = 3, kEnded = 4 };

struct SagaKey {
  std::string type;
  std::string id;
};

struct SagaView {
  SagaKey key;
  int version = 0;
  State state = State::kForward;
  std::string parked_step;   // parked or resolved: where
  std::string error;         // parked or resolved: why
  std::string reason;        // why it compensates
  bool compensable = false;  // parked, and may still go back
  std::string owner;
  absl::Time created_at;
  // Completed or compensated, of one that has ended by itself; none where its instance died before it could tell.
  std::optional<Outcome> outcome = {};
};

struct HistoryEntry {
  using Kind = HistoryKind;
  Kind kind = Kind::kAttemptFailed;
  std::string step;
  int attempt = 0;
  std::string error;
  std::string owner;
  absl::Time at;
};

enum class Act : int { kRetry = 1, kCompensate = 2, kResolve = 3 };

struct OperatorAct {
  std::int64_t sequence = 0;
  std::string operator_id;
  Act act = Act::kRetry;
  SagaKey saga;
  std::string note;
  absl::Time at;
};

struct SagaDetail {
  SagaView saga;
  std::vector<HistoryEntry> history;  // oldest first
  std::vector<OperatorAct> acts;      // oldest first
};

// Open sagas (the first three states), by type and id.
struct SagaQuery {
  std::optional<State> state = {};
  std::string type = {};  // any where empty
  absl::Duration min_age = {};
  SagaKey after = {};  // where the page before ended
  int limit = 50;
};

// Parked sagas to be let go on, by type and id. All conditions hold at once.
struct RetryQuery {
  std::string type = {};         // any where empty
  std::string parked_step = {};  // any where empty
  absl::Duration min_age = {};   // since they were begun
  int limit = 1000;
};

// Acts, newest first.
struct ActQuery {
  std::optional<SagaKey> saga = {};
  std::int64_t before = INT64_MAX;  // a sequence
  int limit = 50;
};

// Brings what a saga with these data was about to the end that the operator names, in the transaction that ends the
// saga; the service's own refusal where it could not end so. `end` is the service's own.
using Conclude = std::function<absl::Status(postgres::Transaction&, const SagaKey&, const std::string& data, int end)>;

class AdminStore {
 public:
  // Without `conclude`: a resolved saga leaves all else as it is.
  explicit AdminStore(postgres::Options options, Conclude conclude = {})
      : session_(std::move(options)), conclude_(std::move(conclude)) {}

  absl::StatusOr<std::vector<SagaView>> List(const SagaQuery& query);
  // NOT_FOUND (UNKNOWN_SAGA) where there is neither a record nor history. History and acts: the last 200 of each.
  absl::StatusOr<SagaDetail> Get(const SagaKey& key);
  absl::StatusOr<std::vector<OperatorAct>> Acts(const ActQuery& query);
  // Does it and writes it down, both or neither. Only with a parked saga; of two at once one wins. `end`: see Conclude.
  absl::Status Do(Act act, const SagaKey& key, const std::string& operator_id, const std::string& note, int end = 0);
  // Act::kRetry on each of these, with an act written down for each; returns how many. Those that another operator has
  // in hand are left out.
  absl::StatusOr<int> RetryAll(const RetryQuery& query, const std::string& operator_id, const std::string& note);

 private:
  postgres::Session session_;
  const Conclude conclude_;
};

}  // namespace flotilla::saga
