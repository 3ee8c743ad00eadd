// Drives one saga from where it stands to its end: steps forward, or compensations backward. Part of the engine.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "saga/flight.h"
#include "saga/lease.h"
#include "saga/saga.h"
#include "saga/store.h"

namespace flotilla::saga {

class Driver {
 public:
  // `lease` outlives it.
  Driver(const postgres::Options& postgres, std::string owner, const Lease& lease);

  // Only on an executor's thread. Where the saga has had trouble, its end is written to its history.
  async::Task<Outcome> Drive(FlightPtr flight);
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
    const Action& action;  // of the flight's definition, or endless
    absl::Duration timeout;
    RetryPolicy retry;
    bool may_refuse;
    bool pivot = false;
    async::SteadyTime give_up;  // where it may refuse
  };

  // Shared with the call of the current step; one that was given up keeps it, and the saga goes on with a copy.
  using ContextPtr = std::shared_ptr<Context>;

  // `flight` and `context` outlive these.
  async::Task<Outcome> Forward(const FlightPtr& flight, ContextPtr& context);
  async::Task<Outcome> Backward(std::size_t undo, const FlightPtr& flight, ContextPtr& context);
  async::Task<Outcome> Finish(Outcome outcome, const FlightPtr& flight, ContextPtr& context);
  async::Task<Result> Group(std::size_t first, std::size_t last, bool may_refuse, const FlightPtr& flight,
                            ContextPtr& context);
  async::Task<Result> Attempt(Try what, const FlightPtr& flight, ContextPtr& context);
  async::Task<Result> DecideToCompensate(const FlightPtr& flight, ContextPtr& context);
  async::Task<Outcome> Park(const Definition& definition, const Context& context, Result why);
  async::Task<void> Remember(Remark remark);

  bool Over(const Flight& flight) const { return flight.lost.load() || stopped_.load(); }

  const std::string owner_;
  const Lease& lease_;
  std::atomic<bool> stopped_ = false;
  batch::WorkerBatcher<Decision, bool> decisions_;
  batch::WorkerBatcher<Remark, bool> history_;
};

}  // namespace flotilla::saga
