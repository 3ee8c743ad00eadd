#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <unordered_set>

#include "async/steady_time.h"
#include "async/stop_signal.h"
#include "saga/driver.h"
#include "saga/saga.h"
#include "saga/store.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "tracing/caller.h"

namespace flotilla::saga {
namespace {

constexpr absl::Duration kSummaryPeriod = absl::Seconds(15);
constexpr absl::Duration kRoomPause = absl::Milliseconds(5);
constexpr int kDropTurns = 20;

prometheus::Counter& StartedCounter(const std::string& type) {
  thread_local std::map<std::string, prometheus::Counter*> cache;
  auto& counter = cache[type];
  if (counter == nullptr) {
    counter = &telemetry::Counter("flotilla_saga_started_total", "Sagas begun or taken over here", {{"type", type}});
  }
  return *counter;
}

prometheus::Counter& EndedCounter(const std::string& type, const char* outcome) {
  thread_local std::map<std::pair<std::string, const char*>, prometheus::Counter*> cache;
  auto& counter = cache[{type, outcome}];
  if (counter == nullptr) {
    counter =
        &telemetry::Counter("flotilla_saga_total", "Sagas that ended here", {{"type", type}, {"outcome", outcome}});
  }
  return *counter;
}

}  // namespace

// Shared with the running coroutines: one that ends late must find it.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(EngineOptions o, std::vector<Definition> d)
      : options(std::move(o)),
        definitions(std::move(d)),
        driver(options.postgres, options.owner),
        in_flight_gauge(telemetry::Gauge("flotilla_saga_in_flight", "Sagas running on this instance")),
        parked_gauge(telemetry::Gauge("flotilla_saga_parked", "Parked sagas, all instances")),
        oldest_gauge(telemetry::Gauge("flotilla_saga_oldest_seconds", "Age of the oldest open saga, all instances")),
        unknown_gauge(telemetry::Gauge("flotilla_saga_unknown", "Open sagas of no definition that this build knows")),
        recovered_counter(telemetry::Counter("flotilla_saga_recovered_total", "Orphaned sagas taken over")),
        lag_histogram(telemetry::Latency("flotilla_saga_recovery_lag_seconds",
                                         "From the end of an orphan's lease to its take-over")) {
    for (const Definition& definition : definitions) {
      CheckDefinition(definition);
      if (Find(definition.type, definition.version) != &definition) {
        throw std::invalid_argument("saga " + definition.type + " has two definitions of one version");
      }
      known.push_back({definition.type, definition.version});
    }
    renewer = std::thread([this] { RenewLease(); });
  }

  const Definition* Find(const std::string& type, int version) const {
    for (const Definition& definition : definitions) {
      if (definition.type == type && definition.version == version) return &definition;
    }
    return nullptr;
  }

  // ---- running one saga ----

  static async::Task<Outcome> Run(std::shared_ptr<Impl> self, Record record) {
    if (self->Find(record.type, record.version) == nullptr) co_return Outcome::kLost;
    std::shared_ptr<Flight> flight = self->Enter(std::move(record));
    co_return co_await Fly(self, std::move(flight));
  }

  static async::Task<Outcome> Fly(std::shared_ptr<Impl> self, std::shared_ptr<Flight> flight) {
    const Definition& definition = *self->Find(flight->record.type, flight->record.version);
    const Outcome outcome = co_await self->driver.Drive(definition, *flight);
    self->Leave(flight, outcome);
    co_return outcome;
  }

  std::shared_ptr<Flight> Enter(Record record) {
    auto flight = std::make_shared<Flight>();
    flight->record = std::move(record);
    flight->started = async::SteadyNow();
    flight->span = tracing::SpanFor(flight->record.traceparent, tracing::Kind::kInternal, "saga", flight->record.type);
    flight->span.Set("flotilla.saga.id", flight->record.id);
    ++started;
    StartedCounter(flight->record.type).Increment();
    std::lock_guard lock(mutex);
    flights.insert(flight);
    return flight;
  }

  void Leave(const std::shared_ptr<Flight>& flight, Outcome outcome) {
    const char* name = "lost";
    if (outcome == Outcome::kCompleted) ++completed, name = "completed";
    if (outcome == Outcome::kCompensated) ++compensated, name = "compensated";
    if (outcome == Outcome::kParked) ++parked, name = "parked";
    EndedCounter(flight->record.type, name).Increment();
    flight->span.Set("flotilla.saga.outcome", name);
    flight->span.End(absl::OkStatus());
    {
      std::lock_guard lock(mutex);
      flights.erase(flight);
    }
    ended.notify_all();
  }

  // ---- the lease ----

  // Most sagas end long before a third of their lease and cost nothing here. Nothing else runs on this thread: what is
  // slow would let the lease run out.
  void RenewLease() {
    Store store(postgres::Named(options.postgres, "saga lease"));
    store.Renew(options.owner, options.lease).status().IgnoreError();  // connects before a saga depends on it
    while (!stop_renewing.WaitFor(options.lease / 3)) {
      const std::vector<std::shared_ptr<Flight>> slow = FlightsBefore(async::After(-options.lease / 3));
      if (slow.empty()) continue;
      const absl::StatusOr<bool> held = store.Renew(options.owner, options.lease);
      if (held.ok() && !*held) MarkLost(store, slow);
    }
    // What still runs is free for others at once.
    const auto rest = FlightsBefore(async::kNever);
    store.Leave(options.owner, Records(rest)).IgnoreError();
  }

  std::vector<std::shared_ptr<Flight>> FlightsBefore(async::SteadyTime limit) {
    std::vector<std::shared_ptr<Flight>> found;
    std::lock_guard lock(mutex);
    in_flight_gauge.Set(static_cast<double>(flights.size()));
    for (const auto& flight : flights) {
      if (flight->started <= limit && !flight->lost.load()) found.push_back(flight);
    }
    return found;
  }

  static std::vector<Record> Records(const std::vector<std::shared_ptr<Flight>>& some) {
    std::vector<Record> records;
    for (const auto& flight : some) records.push_back(flight->record);
    return records;
  }

  // Saves work only: steps are idempotent, and the end is fenced.
  static void MarkLost(Store& store, const std::vector<std::shared_ptr<Flight>>& slow) {
    const absl::StatusOr<std::vector<bool>> held = store.Held(Records(slow));
    if (!held.ok()) return;
    for (std::size_t i = 0; i < slow.size(); ++i) {
      if (!(*held)[i]) slow[i]->lost.store(true);
    }
  }

  // ---- recovery ----

  void Recover(std::vector<async::Executor*> executors) {
    Store store(postgres::Named(options.postgres, "saga recovery"));
    std::size_t next = 0;
    absl::Duration pause = absl::ZeroDuration();
    const std::size_t batch = std::min(options.claim_batch, options.max_recovering);
    async::SteadyTime next_summary = {}, next_disown = {};
    while (!stop_recovering.WaitFor(pause)) {
      if (async::SteadyNow() >= next_summary) {
        next_summary = async::After(kSummaryPeriod);
        if (const auto summary = store.Summarize(known); summary.ok()) {
          parked_gauge.Set(static_cast<double>(summary->parked));
          oldest_gauge.Set(summary->oldest_seconds);
          unknown_gauge.Set(static_cast<double>(summary->unknown));
        }
        DropOld(store);
      }
      if (async::SteadyNow() >= next_disown) {
        next_disown = async::After(options.lease / 2);
        DisownStrays(store);
      }
      // While batches come back full there are more: no pause but for room.
      const auto busy = static_cast<std::size_t>(recovering.load());
      if (busy + batch > options.max_recovering) {
        pause = kRoomPause;
        continue;
      }
      pause = options.scan_interval;
      absl::StatusOr<std::vector<Claimed>> claimed = store.Claim(options.owner, options.lease, known, batch);
      if (!claimed.ok()) {
        // An outage is told elsewhere; anything else would leave orphans unseen.
        if (claimed.status().code() != absl::StatusCode::kUnavailable) {
          telemetry::Warning("cannot take over orphaned sagas", {{"error", claimed.status().ToString()}});
        }
        continue;
      }
      if (claimed->size() == batch) pause = absl::ZeroDuration();
      const auto orphans = std::ranges::count_if(*claimed, [](const Claimed& item) { return item.orphaned; });
      recovered += orphans;
      recovered_counter.Increment(static_cast<double>(orphans));
      if (orphans > 0) telemetry::Info("orphaned sagas taken over", {{"count", std::to_string(orphans)}});
      for (Claimed& item : *claimed) {
        ++recovering;
        if (item.orphaned) lag_histogram.Observe(absl::ToDoubleSeconds(item.waited));
        // In flight from here on: the lease is renewed while it waits for a busy executor.
        async::Spawn(*executors[next++ % executors.size()], Resume(shared_from_this(), Enter(std::move(item.record))));
      }
    }
  }

  // Between claims, so not for long.
  void DropOld(Store& store) {
    absl::StatusOr<bool> more = true;
    for (int i = 0; i < kDropTurns && more.ok() && *more; ++i) more = store.DropOld(options.history_retention);
  }

  // Records that are ours in the table but that nobody here runs: an answer to COMMIT was lost, or parking could not be
  // written. Our lease would cover them for as long as any other saga of ours is slow.
  void DisownStrays(Store& store) {
    const absl::StatusOr<std::vector<Record>> overdue = store.Overdue(options.owner);
    if (!overdue.ok() || overdue->empty()) return;
    std::set<std::pair<std::string, std::string>> flying;
    for (const auto& flight : FlightsBefore(async::kNever)) {
      flying.emplace(flight->record.type, flight->record.id);
    }
    std::vector<Record> strays;
    for (const Record& record : *overdue) {
      if (!flying.contains({record.type, record.id})) strays.push_back(record);
    }
    if (strays.empty()) return;
    telemetry::Warning("sagas that nobody ran are left to be taken over", {{"count", std::to_string(strays.size())}});
    store.Disown(options.owner, strays).IgnoreError();  // the next turn tries again
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
    driver.Stop();
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
  std::atomic<int> recovering = 0;
  std::atomic<std::int64_t> started = 0, completed = 0, compensated = 0, parked = 0, recovered = 0;

  Driver driver;
  prometheus::Gauge& in_flight_gauge;
  prometheus::Gauge& parked_gauge;
  prometheus::Gauge& oldest_gauge;
  prometheus::Gauge& unknown_gauge;
  prometheus::Counter& recovered_counter;
  prometheus::Histogram& lag_histogram;
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
