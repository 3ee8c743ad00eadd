#include <atomic>
#include <stdexcept>

#include "saga/definition.h"
#include "saga/driver.h"
#include "saga/lease.h"
#include "saga/recovery.h"
#include "saga/saga.h"
#include "saga/watchdog.h"
#include "telemetry/metrics.h"
#include "tracing/caller.h"

namespace flotilla::saga {
namespace {

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

using Definitions = std::vector<std::shared_ptr<const Definition>>;

std::shared_ptr<const Definition> Find(const Definitions& definitions, const std::string& type, int version) {
  for (const auto& definition : definitions) {
    if (definition->type == type && definition->version == version) return definition;
  }
  return nullptr;
}

Definitions Checked(std::vector<Definition> given) {
  Definitions definitions;
  for (Definition& definition : given) {
    CheckDefinition(definition);
    DeclareFailpoints(definition);
    if (Find(definitions, definition.type, definition.version) != nullptr) {
      throw std::invalid_argument("saga " + definition.type + " has two definitions of one version");
    }
    definitions.push_back(std::make_shared<const Definition>(std::move(definition)));
  }
  return definitions;
}

std::vector<KnownDefinition> Known(const Definitions& definitions) {
  std::vector<KnownDefinition> known;
  for (const auto& definition : definitions) known.push_back({definition->type, definition->version});
  return known;
}

}  // namespace

// Shared with the running coroutines: one that ends late must find it.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(EngineOptions o, std::vector<Definition> d)
      : options(std::move(o)),
        definitions(Checked(std::move(d))),
        driver(options.postgres, options.owner, lease),
        recovery(options, Known(definitions), flights,
                 [this](Claimed claimed, Crowd& crowd, async::Executor& executor) {
                   Resume(std::move(claimed), crowd, executor);
                 }),
        keeper(options.postgres, options.owner, options.lease, flights, lease),
        watchdog(flights) {}

  static async::Task<Outcome> Run(std::shared_ptr<Impl> self, Record record) {
    FlightPtr flight = self->Prepare(std::move(record));
    if (flight == nullptr) co_return Outcome::kLost;
    self->flights.Add(flight);
    co_return co_await Fly(self, std::move(flight));
  }

  // In flight at once: the lease is renewed while it waits for a busy executor.
  void Resume(Claimed claimed, Crowd& crowd, async::Executor& executor) {
    FlightPtr flight = Prepare(std::move(claimed.record));
    flight->troubled = claimed.troubled;
    flight->exhausted = claimed.takeovers > options.max_takeovers && flight->record.age > options.max_takeovers_age;
    flight->crowd = &crowd;
    ++crowd.fresh;
    flights.Add(flight);
    async::Spawn(executor, [](std::shared_ptr<Impl> self, FlightPtr mine) -> async::Task<void> {
      co_await Fly(self, std::move(mine));
    }(shared_from_this(), std::move(flight)));
  }

  static async::Task<Outcome> Fly(std::shared_ptr<Impl> self, FlightPtr flight) {
    const Outcome outcome = co_await self->driver.Drive(flight);
    self->Leave(flight, outcome);
    co_return outcome;
  }

  // Null where the definition is not known.
  FlightPtr Prepare(Record record) {
    auto definition = Find(definitions, record.type, record.version);
    if (definition == nullptr) return nullptr;
    auto flight = std::make_shared<Flight>();
    flight->record = std::move(record);
    flight->definition = std::move(definition);
    flight->started = async::SteadyNow();
    // Where its beginning took longer than its lease, nobody knows who has it before a look.
    const async::SteadyTime until = async::After(options.lease, flight->record.made);
    flight->held_until.store(until > flight->started ? until : async::SteadyTime::min());
    flight->span = tracing::SpanFor(flight->record.traceparent, tracing::Kind::kInternal, "saga", flight->record.type);
    flight->span.Set("flotilla.saga.id", flight->record.id);
    ++started;
    StartedCounter(flight->record.type).Increment();
    return flight;
  }

  void Leave(const FlightPtr& flight, Outcome outcome) {
    const char* name = "lost";
    if (outcome == Outcome::kCompleted) ++completed, name = "completed";
    if (outcome == Outcome::kCompensated) ++compensated, name = "compensated";
    if (outcome == Outcome::kParked) ++parked, name = "parked";
    EndedCounter(flight->record.type, name).Increment();
    flight->span.Set("flotilla.saga.outcome", name);
    flight->span.End(absl::OkStatus());
    if (flight->crowd != nullptr) --(flight->struggling ? flight->crowd->struggling : flight->crowd->fresh);
    flights.Remove(flight);
  }

  void Stop(absl::Duration grace) {
    recovery.Stop();
    flights.AwaitNone(grace);
    driver.Stop();
    keeper.Stop();
    watchdog.Stop();
  }

  const EngineOptions options;
  const Definitions definitions;
  std::atomic<std::int64_t> started = 0, completed = 0, compensated = 0, parked = 0;
  Flights flights;
  Lease lease;
  Driver driver;
  Recovery recovery;
  LeaseKeeper keeper;
  Watchdog watchdog;
};

Engine::Engine(EngineOptions options, std::vector<Definition> definitions)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(definitions))) {}

Engine::~Engine() { impl_->Stop(absl::ZeroDuration()); }

async::Task<Outcome> Engine::Run(Record record) { return Impl::Run(impl_, std::move(record)); }

bool Engine::Full() const { return impl_->flights.size() >= impl_->options.max_in_flight; }

void Engine::StartRecovery(std::vector<async::Executor*> executors) { impl_->recovery.Start(std::move(executors)); }

void Engine::Stop(absl::Duration grace) { impl_->Stop(grace); }

Engine::Stats Engine::stats() const {
  return {impl_->started,
          impl_->completed,
          impl_->compensated,
          impl_->parked,
          impl_->recovery.recovered(),
          static_cast<std::int64_t>(impl_->flights.size())};
}

}  // namespace flotilla::saga
