// Sagas: a chain of idempotent steps that ends, whatever crashes. No business in here.
//
// Durable record, minimal: begin and end are written by the service in its own transactions (Begin() / End() inside
// the commit that changes its state), the decision to compensate is written by the engine before the first compensation
// runs. Steps are idempotent by (saga id, step), so recovery simply runs them again from the start of the current
// direction.
//
// A record carries a claim (owner, lease_until, fence). The creator owns it from birth; when its lease and its owner's
// have run out any instance claims it, many at a time, with FOR UPDATE SKIP LOCKED. Only owners' leases are renewed. A
// write by an owner whose fence is old changes nothing.
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
#include "async/steady_time.h"
#include "async/task.h"
#include "postgres/rights.h"
#include "postgres/session.h"
#include "saga/retry.h"

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
  // Goes up by one with each owner. Where a key is used again once its record has ended, one that was never used.
  std::int64_t fence = 1;
  absl::Duration age = absl::ZeroDuration();  // when it was taken over, by the database's clock; else zero
  // From when on its lease is reckoned here: a record is made before it is begun.
  async::SteadyTime made = async::SteadyNow();
};

// One run of a record on this instance; handed to steps.
struct Context {
  Record record;
  absl::Time deadline;  // of the current step's attempt
  // What steps hand on to later steps, compensations and the finishing action, by any name. It is not durable: a
  // recovered saga fills it again while it runs its steps again, and one that is recovered while it compensates finds
  // it empty.
  std::map<std::string, std::string> results = {};
};

// What a step's attempt came to: OK; a retryable error (see retry.h); or a refusal (any other code), which before the
// pivot starts compensation with errors::Reason(status).
using Action = std::function<async::Task<absl::Status>(Context&)>;

struct Step {
  std::string name;
  Action action = {};        // may be empty: done before the saga began
  Action compensation = {};  // may be empty: nothing to undo
  bool pivot = false;        // from this step's success on only forward
  // Runs at the same time as the step before it, and is undone at the same time. Not for a pivot, nor next to one.
  bool concurrent = false;
  // Of one attempt: context.deadline, which the action should keep. One that has not ended soon after is given up as
  // DEADLINE_EXCEEDED: its outcome is not known, and its coroutine ends by itself, with a context of its own.
  absl::Duration timeout = absl::Seconds(2);
  RetryPolicy retry = {};
};

// What a finishing action returns where End() did not delete its record: another owner has the saga. ABORTED, reason
// SAGA_LOST; the run ends as Outcome::kLost.
absl::Status Lost();

// The last action of each direction writes the service's final state and deletes the record in one commit.
// Where steps change, the old definition stays beside the new one until no record of its version is left: a record
// finishes under the version it began under.
struct Definition {
  std::string type;
  int version = 1;
  // From begin on. A saga that has not begun its pivot by then is compensated, reason SAGA_DEADLINE. From the pivot's
  // first attempt on, which may have taken effect unseen, it goes on all the same, and so does one with a pivot that
  // was taken over. What refuses it compensates it at any time before the pivot is done.
  absl::Duration deadline = absl::InfiniteDuration();
  std::vector<Step> steps;
  Action finish_forward;      // for example order PAID + End()
  Action finish_compensated;  // for example order CANCELLED + End()
};

// Records live in the service's own database: its migrations are saga::Migrations() (saga/migrations.h) and its own,
// and its role needs these rights besides its own. What operators did is only added to.
postgres::Rights Rights();

// Inserts records owned by `owner`, in the caller's transaction.
void Begin(postgres::Transaction& transaction, std::span<const Record> records, const std::string& owner,
           absl::Duration lease);
// Deletes records whose fence still holds; returns the ids that were deleted (others were taken over: roll those back).
std::vector<std::string> End(postgres::Transaction& transaction, std::span<const Record> records);
// For a body of TransactHopefully: deletes them all, without waiting for the answer; assert_failure where a fence does
// not hold. The migrations bring the function require_rows(expected, actual) for the same in other statements.
void EndAll(postgres::Transaction& transaction, std::span<const Record> records);

struct EngineOptions {
  postgres::Options postgres;
  std::string owner;  // this instance's id, new at every start
  absl::Duration lease =
      absl::Milliseconds(1500);  // of records, and of their owner while any is older than a third of it
  absl::Duration scan_interval = absl::Milliseconds(250);
  std::size_t claim_batch = 500;
  // Recovered sagas in flight that have not failed an attempt. Those that have do not keep others waiting, unless they
  // are very many.
  std::size_t max_recovering = 2000;
  std::size_t max_struggling = 10000;
  // A saga that is older and has lost more owners is parked: its steps may be what kills them. By the age nobody is
  // parked who waits for another service while owners come and go, or while the database is too slow for leases.
  int max_takeovers = 100;
  absl::Duration max_takeovers_age = absl::Hours(1);
  // Of those that run here, begun and taken over: where there are so many, Full() says to begin no more.
  std::size_t max_in_flight = 10000;
  // Records are deleted at their end; what is kept of troubled sagas goes after this time.
  absl::Duration history_retention = absl::Hours(24 * 30);
};

enum class Outcome { kCompleted, kCompensated, kParked, kLost /* another owner has it */ };

class Engine {
 public:
  // Throws std::invalid_argument where a definition breaks a rule of Step or stands there twice.
  Engine(EngineOptions options, std::vector<Definition> definitions);
  ~Engine();  // Stop()

  // Runs a record that was just begun durably by this owner, here, to its end; returns how it ended.
  async::Task<Outcome> Run(Record record);

  // Too many run here to begin another one: each takes memory until it ends, and waits where its services are away.
  bool Full() const;

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
