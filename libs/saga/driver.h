// Drives one saga from where it stands to its end: steps forward, or compensations backward. Part of the engine.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "saga/saga.h"
#include "saga/store.h"
#include "tracing/span.h"

namespace flotilla::saga {

// A saga in flight on this instance.
struct Flight {
  Record record;                   // as begun or claimed: names the lease
  async::SteadyTime started;       // here, which is the record's age after its beginning
  std::atomic<bool> lost = false;  // another owner has it
  tracing::Span span = {};         // of the whole run here, where the call that began it is traced
};

// Throws std::invalid_argument where the definition breaks a rule of Step.
void CheckDefinition(const Definition& definition);

class Driver {
 public:
  Driver(const postgres::Options& postgres, std::string owner);

  // Only on an executor's thread. The arguments outlive the task.
  async::Task<Outcome> Drive(const Definition& definition, Flight& flight);
  // Sagas end as lost at their next boundary.
  void Stop() { stopped_.store(true); }

 private:
  // What became of steps after all their attempts.
  struct Result {
    enum class Kind { kDone, kExhausted, kRefused, kLost };  // of several steps the last of these counts
    Kind kind = Kind::kDone;
    std::string step = {};
    absl::Status status = {};
  };
  // One run of one action.
  struct Try {
    std::string name;
    const Action& action;
    absl::Duration timeout;
    RetryPolicy retry;
    bool may_refuse;
    bool pivot = false;
    async::SteadyTime give_up;  // where it may refuse
  };

  async::Task<Outcome> Forward(const Definition& definition, Flight& flight, Context& context);
  async::Task<Outcome> Backward(const Definition& definition, std::size_t undo, Flight& flight, Context& context);
  async::Task<Outcome> Finish(const Definition& definition, Outcome outcome, Flight& flight, Context& context);
  async::Task<Result> Group(const Definition& definition, std::size_t first, std::size_t last, bool may_refuse,
                            Flight& flight, Context& context);
  async::Task<Result> Attempt(Try what, Flight& flight, Context& context);
  async::Task<Result> DecideToCompensate(Flight& flight, Context& context);
  async::Task<Outcome> Park(const Definition& definition, Context& context, Result why);
  async::Task<void> Remember(Failure failure);

  const std::string owner_;
  std::atomic<bool> stopped_ = false;
  batch::WorkerBatcher<Decision, bool> decisions_;
  batch::WorkerBatcher<Failure, bool> history_;
};

}  // namespace flotilla::saga
