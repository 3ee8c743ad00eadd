#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <unordered_set>

#include "absl/time/clock.h"
#include "async/stop_signal.h"
#include "batch/spread.h"
#include "batch/worker_batcher.h"
#include "errors/errors.h"
#include "saga/saga.h"
#include "saga/store.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::saga {
namespace {

constexpr char kLostReason[] = "SAGA_LOST";
constexpr absl::Duration kSummaryPeriod = absl::Seconds(15);
constexpr absl::Duration kRoomPause = absl::Milliseconds(5);

bool Retryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

// Full jitter: sagas that one outage has stopped do not come back in step.
absl::Duration Backoff(const RetryPolicy& policy, int attempt) {
  thread_local std::minstd_rand random(std::random_device{}());
  absl::Duration delay = policy.initial;
  for (int i = 0; i < attempt && delay < policy.max; ++i) delay *= policy.factor;
  return std::min(delay, policy.max) * std::uniform_real_distribution<double>(0, 1)(random);
}

std::string ReasonOf(const absl::Status& status) {
  std::string reason = errors::Reason(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

// A saga in flight on this instance.
struct Flight {
  Record record;  // as begun or claimed: names the lease
  absl::Time begun;
  std::atomic<bool> lost = false;  // another owner has it
};

// What became of a step after all its attempts.
struct StepResult {
  enum class Kind { kDone, kRefused, kExhausted, kLost } kind = Kind::kDone;
  absl::Status status;
};

}  // namespace

absl::Status Lost() { return errors::Make(absl::StatusCode::kAborted, kLostReason, "another owner has the saga"); }

// Shared with the running coroutines: one that ends late must find it.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(EngineOptions o, std::vector<Definition> d)
      : options(std::move(o)),
        definitions(std::move(d)),
        decisions({.name = "saga decisions"},
                  [this](int) {
                    auto store = std::make_shared<Store>(postgres::Named(options.postgres, "saga decisions"));
                    return [store](const std::vector<Decision>& asked) {
                      return batch::Spread(store->Decide(asked), asked.size());
                    };
                  }),
        in_flight_gauge(telemetry::Gauge("flotilla_saga_in_flight", "Sagas running on this instance")),
        parked_gauge(telemetry::Gauge("flotilla_saga_parked", "Parked sagas, all instances")),
        oldest_gauge(telemetry::Gauge("flotilla_saga_oldest_seconds", "Age of the oldest open saga, all instances")),
        recovered_counter(telemetry::Counter("flotilla_saga_recovered_total", "Orphaned sagas taken over")) {
    for (const Definition& definition : definitions) known.push_back({definition.type, definition.version});
    renewer = std::thread([this] { RenewLeases(); });
  }

  const Definition* Find(const Record& record) const {
    for (const Definition& definition : definitions) {
      if (definition.type == record.type && definition.version == record.version) return &definition;
    }
    return nullptr;
  }

  // ---- running one saga ----

  static async::Task<Outcome> Run(std::shared_ptr<Impl> self, Record record) {
    if (self->Find(record) == nullptr) co_return Outcome::kLost;
    std::shared_ptr<Flight> flight = self->Enter(std::move(record));
    co_return co_await Fly(self, std::move(flight));
  }

  static async::Task<Outcome> Fly(std::shared_ptr<Impl> self, std::shared_ptr<Flight> flight) {
    Context context{flight->record, {}, {}};
    const Outcome outcome = co_await self->Drive(*self->Find(flight->record), *flight, context);
    self->Leave(flight, context.record, outcome);
    co_return outcome;
  }

  async::Task<Outcome> Drive(const Definition& definition, Flight& flight, Context& context) {
    std::size_t undo = definition.steps.size();  // compensations run from here down
    if (context.record.direction == Direction::kForward) {
      bool pivoted = false;
      std::optional<absl::Status> refusal;
      for (std::size_t i = 0; i < definition.steps.size() && !refusal.has_value(); ++i) {
        const Step& step = definition.steps[i];
        if (step.action) {
          StepResult result = co_await Attempt(step.action, step.timeout, step.retry, !pivoted, flight, context);
          if (result.kind == StepResult::Kind::kLost) co_return Outcome::kLost;
          if (result.kind == StepResult::Kind::kExhausted) {
            co_return co_await Park(context, step.name, result.status);
          }
          // The refused step is undone too: an earlier attempt of it may have taken effect unseen.
          if (result.kind == StepResult::Kind::kRefused) {
            refusal = result.status;
            undo = i + 1;
          }
        }
        pivoted = pivoted || (step.pivot && !refusal.has_value());
      }
      if (!refusal.has_value()) {
        StepResult result = co_await Attempt(definition.finish_forward, absl::Seconds(5), {}, false, flight, context);
        if (result.kind == StepResult::Kind::kDone) co_return Outcome::kCompleted;
        if (result.kind == StepResult::Kind::kLost) co_return Outcome::kLost;
        co_return co_await Park(context, "finish", result.status);
      }
      context.record.direction = Direction::kCompensating;
      context.record.reason = ReasonOf(*refusal);
      // Durable before the first compensation runs: a recovery must not go forward again.
      StepResult decided = co_await DecideToCompensate(flight, context);
      if (decided.kind != StepResult::Kind::kDone) co_return Outcome::kLost;
    }
    for (std::size_t i = undo; i-- > 0;) {
      const Step& step = definition.steps[i];
      if (!step.compensation) continue;
      StepResult result = co_await Attempt(step.compensation, step.timeout, step.retry, false, flight, context);
      if (result.kind == StepResult::Kind::kLost) co_return Outcome::kLost;
      if (result.kind != StepResult::Kind::kDone) co_return co_await Park(context, "undo " + step.name, result.status);
    }
    StepResult result = co_await Attempt(definition.finish_compensated, absl::Seconds(5), {}, false, flight, context);
    if (result.kind == StepResult::Kind::kDone) co_return Outcome::kCompensated;
    if (result.kind == StepResult::Kind::kLost) co_return Outcome::kLost;
    co_return co_await Park(context, "finish", result.status);
  }

  // Tries until success, a refusal (where `may_refuse`; else a refusal is retried like the rest) or the policy's end.
  async::Task<StepResult> Attempt(const Action& action, absl::Duration timeout, RetryPolicy policy, bool may_refuse,
                                  Flight& flight, Context& context) {
    for (int attempt = 0;;) {
      if (flight.lost.load() || stopped.load()) co_return StepResult{StepResult::Kind::kLost, Lost()};
      context.deadline = absl::Now() + timeout;
      absl::Status status = co_await Guard(action, context);
      if (status.ok()) co_return StepResult{};
      if (errors::Reason(status) == kLostReason) co_return StepResult{StepResult::Kind::kLost, std::move(status)};
      if (may_refuse && !Retryable(status)) co_return StepResult{StepResult::Kind::kRefused, std::move(status)};
      if (++attempt >= policy.max_attempts) co_return StepResult{StepResult::Kind::kExhausted, std::move(status)};
      const absl::Duration delay = Backoff(policy, attempt - 1);
      co_await async::SleepFor(delay);
    }
  }

  static async::Task<absl::Status> Guard(const Action& action, Context& context) {
    std::string what;
    try {
      co_return co_await action(context);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
      what = "of an unknown type";
    }
    co_return absl::InternalError("exception in a saga's step: " + what);
  }

  async::Task<StepResult> DecideToCompensate(Flight& flight, Context& context) {
    const Action write = [this](Context& c) -> async::Task<absl::Status> {
      const absl::StatusOr<bool> held = co_await decisions.Call({c.record, Direction::kCompensating, c.record.reason});
      if (!held.ok()) co_return held.status();
      co_return *held ? absl::OkStatus() : Lost();
    };
    co_return co_await Attempt(write, absl::Seconds(5), {}, false, flight, context);
  }

  // Where parking cannot be written, the lease runs out and the saga is tried again: never forgotten.
  async::Task<Outcome> Park(Context& context, std::string where, absl::Status why) {
    const std::string error = where + ": " + why.ToString();
    const absl::StatusOr<bool> held = co_await decisions.Call({context.record, Direction::kParked, error});
    if (!held.ok() || !*held) co_return Outcome::kLost;
    telemetry::Log(telemetry::Level::kError, "saga parked",
                   {{"type", context.record.type}, {"id", context.record.id}, {"error", error}},
                   context.record.traceparent);
    co_return Outcome::kParked;
  }

  std::shared_ptr<Flight> Enter(Record record) {
    auto flight = std::make_shared<Flight>();
    flight->record = std::move(record);
    flight->begun = absl::Now();
    ++started;
    std::lock_guard lock(mutex);
    flights.insert(flight);
    return flight;
  }

  void Leave(const std::shared_ptr<Flight>& flight, const Record& record, Outcome outcome) {
    const char* name = "lost";
    if (outcome == Outcome::kCompleted) ++completed, name = "completed";
    if (outcome == Outcome::kCompensated) ++compensated, name = "compensated";
    if (outcome == Outcome::kParked) ++parked, name = "parked";
    EndedCounter(record.type, name).Increment();
    {
      std::lock_guard lock(mutex);
      flights.erase(flight);
    }
    ended.notify_all();
  }

  static prometheus::Counter& EndedCounter(const std::string& type, const char* outcome) {
    thread_local std::map<std::pair<std::string, const char*>, prometheus::Counter*> cache;
    auto& counter = cache[{type, outcome}];
    if (counter == nullptr) {
      counter =
          &telemetry::Counter("flotilla_saga_total", "Sagas that ended here", {{"type", type}, {"outcome", outcome}});
    }
    return *counter;
  }

  // ---- leases ----

  // Most sagas end long before a third of their lease and cost nothing here. Nothing else runs on this thread: what is
  // slow would let leases run out.
  void RenewLeases() {
    Store store(postgres::Named(options.postgres, "saga leases"));
    store.Renew({}, options.lease).status().IgnoreError();  // connects before the first lease depends on it
    while (!stop_renewing.WaitFor(options.lease / 3)) {
      std::vector<std::shared_ptr<Flight>> slow;
      std::vector<Record> records;
      {
        const absl::Time limit = absl::Now() - options.lease / 3;
        std::lock_guard lock(mutex);
        in_flight_gauge.Set(static_cast<double>(flights.size()));
        for (const auto& flight : flights) {
          if (flight->begun > limit || flight->lost.load()) continue;
          slow.push_back(flight);
          records.push_back(flight->record);
        }
      }
      if (!slow.empty()) {
        const auto kept = store.Renew(records, options.lease);
        // Unreachable is not lost: steps are idempotent, and the end is fenced.
        if (kept.ok()) {
          for (std::size_t i = 0; i < slow.size(); ++i) {
            if (!(*kept)[i]) slow[i]->lost.store(true);
          }
        }
      }
    }
    // What still runs is free for others at once.
    std::vector<Record> records;
    {
      std::lock_guard lock(mutex);
      for (const auto& flight : flights) records.push_back(flight->record);
    }
    if (!records.empty()) store.Renew(records, -absl::Seconds(1)).status().IgnoreError();
  }

  // ---- recovery ----

  void Recover(std::vector<async::Executor*> executors) {
    Store store(postgres::Named(options.postgres, "saga recovery"));
    std::size_t next = 0;
    absl::Duration pause = absl::ZeroDuration();
    const std::size_t batch = std::min(options.claim_batch, options.max_recovering);
    absl::Time next_summary = absl::InfinitePast();
    while (!stop_recovering.WaitFor(pause)) {
      if (absl::Now() >= next_summary) {
        next_summary = absl::Now() + kSummaryPeriod;
        if (const auto summary = store.Summarize(); summary.ok()) {
          parked_gauge.Set(static_cast<double>(summary->parked));
          oldest_gauge.Set(summary->oldest_seconds);
        }
      }
      // While batches come back full there are more: no pause but for room.
      const auto busy = static_cast<std::size_t>(recovering.load());
      if (busy + batch > options.max_recovering) {
        pause = kRoomPause;
        continue;
      }
      pause = options.scan_interval;
      absl::StatusOr<std::vector<Record>> claimed = store.Claim(options.owner, options.lease, known, batch);
      if (!claimed.ok()) continue;
      if (claimed->size() == batch) pause = absl::ZeroDuration();
      recovered += static_cast<std::int64_t>(claimed->size());
      recovered_counter.Increment(static_cast<double>(claimed->size()));
      if (!claimed->empty()) {
        telemetry::Info("orphaned sagas taken over", {{"count", std::to_string(claimed->size())}});
      }
      for (Record& item : *claimed) {
        ++recovering;
        // In flight from here on: its lease is renewed while it waits for a busy executor.
        async::Spawn(*executors[next++ % executors.size()], Resume(shared_from_this(), Enter(std::move(item))));
      }
    }
  }

  static async::Task<void> Resume(std::shared_ptr<Impl> self, std::shared_ptr<Flight> flight) {
    co_await Fly(self, std::move(flight));
    --self->recovering;
  }

  void Stop(absl::Duration grace) {
    stop_recovering.Set();
    if (recoverer.joinable()) recoverer.join();
    {
      std::unique_lock lock(mutex);
      ended.wait_for(lock, absl::ToChronoNanoseconds(grace), [this] { return flights.empty(); });
    }
    stopped.store(true);
    stop_renewing.Set();
    if (renewer.joinable()) renewer.join();
  }

  const EngineOptions options;
  const std::vector<Definition> definitions;
  std::vector<KnownDefinition> known;

  std::mutex mutex;
  std::condition_variable ended;
  std::unordered_set<std::shared_ptr<Flight>> flights;  // under the mutex
  async::StopSignal stop_recovering, stop_renewing;
  std::atomic<bool> stopped = false;  // steps end at their next boundary
  std::atomic<int> recovering = 0;
  std::atomic<std::int64_t> started = 0, completed = 0, compensated = 0, parked = 0, recovered = 0;

  batch::WorkerBatcher<Decision, bool> decisions;
  prometheus::Gauge& in_flight_gauge;
  prometheus::Gauge& parked_gauge;
  prometheus::Gauge& oldest_gauge;
  prometheus::Counter& recovered_counter;
  std::thread recoverer, renewer;
};

Engine::Engine(EngineOptions options, std::vector<Definition> definitions)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(definitions))) {}

Engine::~Engine() { impl_->Stop(absl::ZeroDuration()); }

async::Task<Outcome> Engine::Run(Record record) { return Impl::Run(impl_, std::move(record)); }

void Engine::StartRecovery(std::vector<async::Executor*> executors) {
  impl_->recoverer = std::thread([impl = impl_.get(), executors = std::move(executors)] { impl->Recover(executors); });
}

void Engine::Stop(absl::Duration grace) { impl_->Stop(grace); }

Engine::Stats Engine::stats() const {
  std::lock_guard lock(impl_->mutex);
  return {impl_->started, impl_->completed, impl_->compensated,
          impl_->parked,  impl_->recovered, static_cast<std::int64_t>(impl_->flights.size())};
}

}  // namespace flotilla::saga
