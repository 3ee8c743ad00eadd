// Sagas: a chain of idempotent steps that ends, whatever crashes. No business in here.
//
// Durable record, minimal: begin and end are written by the service in its own transactions (Begin() / End() inside
// the commit that changes its state), the decision to compensate is written by the engine before the first compensation
// runs. Steps are idempotent by (saga id, step), so recovery simply runs them again from the start of the current
// direction.
//
// A record carries a claim (owner, lease_until, fence). The creator owns it from birth; when the lease runs out any
// instance claims it, many at a time, with FOR UPDATE SKIP LOCKED. A write by an owner whose fence is old changes
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "postgres/session.h"

namespace flotilla::saga {

enum class Direction : int { kForward = 0, kCompensating = 1, kParked = 2 };

struct Record {
  std::string id;    // UUID text; for orders "<order id>" plus the type makes it unique
  std::string type;  // definition's name
  int version = 1;   // definition's version
  Direction direction = Direction::kForward;
  std::string data;         // the definition's input, opaque (serialized protobuf)
  std::string reason;       // why it compensates (an ErrorInfo reason), else empty
  std::string traceparent;  // of the call that began it, may be empty
  std::int64_t fence = 1;
};

// One run of a record on this instance; handed to steps.
struct Context {
  Record record;
  absl::Time deadline;                         // of the current step's attempt
  std::map<std::string, std::string> results;  // of earlier steps, by step name
};

// What a step's attempt came to: OK; a retryable error (UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, UNKNOWN,
// RESOURCE_EXHAUSTED, CANCELLED, INTERNAL); or a refusal (any other code), which before the pivot starts compensation
// with errors::Reason(status).
using Action = std::function<async::Task<absl::Status>(Context&)>;

struct RetryPolicy {
  absl::Duration initial = absl::Milliseconds(20);
  double factor = 2;
  absl::Duration max = absl::Seconds(5);
  // Then PARKED. Waits are uniform between 0 and the exponential delay, so 50 attempts that fail at once span about
  // 105 s (71 s at the least of 20,000 simulated runs): an outage of a minute parks nothing.
  int max_attempts = 50;
};

struct Step {
  std::string name;
  Action action = {};        // may be empty: done before the saga began
  Action compensation = {};  // may be empty: nothing to undo
  bool pivot = false;        // from this step's success on only forward
  absl::Duration timeout = absl::Seconds(2);
  RetryPolicy retry = {};
};

// What a finishing action returns where End() did not delete its record: another owner has the saga. ABORTED, reason
// SAGA_LOST; the run ends as Outcome::kLost.
absl::Status Lost();

// The last action of each direction writes the service's final state and deletes the record in one commit.
struct Definition {
  std::string type;
  int version = 1;
  std::vector<Step> steps;
  Action finish_forward;      // for example order PAID + End()
  Action finish_compensated;  // for example order CANCELLED + End()
};

// The first migration of every service with sagas: the table saga, primary key (type, id), see migrations/saga.sql.
postgres::Migration SagaTableMigration();

// Inserts records owned by `owner`, in the caller's transaction.
void Begin(postgres::Transaction& transaction, std::span<const Record> records, const std::string& owner,
           absl::Duration lease);
// Deletes records whose fence still holds; returns the ids that were deleted (others were taken over: roll those back).
std::vector<std::string> End(postgres::Transaction& transaction, std::span<const Record> records);

struct EngineOptions {
  postgres::Options postgres;
  std::string owner;                                // this instance's id, new at every start
  absl::Duration lease = absl::Milliseconds(1500);  // renewed for running sagas at a third of it
  absl::Duration scan_interval = absl::Milliseconds(250);
  std::size_t claim_batch = 500;
  std::size_t max_recovering = 2000;  // recovered sagas in flight
};

enum class Outcome { kCompleted, kCompensated, kParked, kLost /* another owner has it */ };

class Engine {
 public:
  Engine(EngineOptions options, std::vector<Definition> definitions);
  ~Engine();  // Stop()

  // Runs a record that was just begun durably by this owner, here, to its end; returns how it ended.
  async::Task<Outcome> Run(Record record);

  // Recovered sagas are spread over `executors` (rpc loops where steps make RPCs), which outlive Stop().
  void StartRecovery(std::vector<async::Executor*> executors);
  // Stops claiming and renewing, waits up to `grace` for running sagas; the rest are left to other owners.
  void Stop(absl::Duration grace);

  struct Stats {
    std::int64_t started, completed, compensated, parked, recovered, in_flight;
  };
  Stats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace flotilla::saga
