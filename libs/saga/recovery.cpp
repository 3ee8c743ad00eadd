#include "saga/recovery.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "failpoint/failpoint.h"
#include "telemetry/log.h"

namespace flotilla::saga {
namespace {

constexpr absl::Duration kSummaryPeriod = absl::Seconds(15);
constexpr absl::Duration kRoomPause = absl::Milliseconds(5);
constexpr int kDropTurns = 20;

}  // namespace

Recovery::Recovery(const EngineOptions& options, std::vector<KnownDefinition> known, const Flights& flights,
                   Resume resume)
    : options_(options),
      known_(std::move(known)),
      flights_(flights),
      resume_(std::move(resume)),
      batch_(std::min({options.claim_batch, options.max_recovering, options.max_struggling})),
      parked_gauge_(telemetry::Gauge("flotilla_saga_parked", "Parked sagas, all instances")),
      oldest_gauge_(telemetry::Gauge("flotilla_saga_oldest_seconds", "Age of the oldest open saga, all instances")),
      unknown_gauge_(telemetry::Gauge("flotilla_saga_unknown", "Open sagas of no definition that this build knows")),
      recovered_counter_(telemetry::Counter("flotilla_saga_recovered_total", "Orphaned sagas taken over")),
      lag_histogram_(telemetry::Latency("flotilla_saga_recovery_lag_seconds",
                                        "From the end of an orphan's lease to its take-over")) {}

void Recovery::Start(std::vector<async::Executor*> executors) {
  FLOTILLA_DECLARE_FAILPOINT("saga.claim");
  executors_ = std::move(executors);
  thread_ = std::thread([this] { Run(); });
}

void Recovery::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

void Recovery::Run() {
  Store store(postgres::Named(options_.postgres, "saga recovery"));
  absl::Duration pause = absl::ZeroDuration();
  async::SteadyTime next_summary = {}, next_disown = {};
  while (!stop_.WaitFor(pause)) {
    if (async::SteadyNow() >= next_summary) {
      next_summary = async::After(kSummaryPeriod);
      Summarize(store);
    }
    if (async::SteadyNow() >= next_disown) {
      next_disown = async::After(options_.lease / 2);
      DisownStrays(store);
    }
    // While batches come back full there are more: no pause but for room.
    if (!HasRoom()) {
      pause = kRoomPause;
    } else {
      pause = Claim(store) ? absl::ZeroDuration() : options_.scan_interval;
    }
  }
}

// Between claims, so not for long.
void Recovery::Summarize(Store& store) {
  if (const auto summary = store.Summarize(known_); summary.ok()) {
    parked_gauge_.Set(static_cast<double>(summary->parked));
    oldest_gauge_.Set(summary->oldest_seconds);
    unknown_gauge_.Set(static_cast<double>(summary->unknown));
  }
  absl::StatusOr<bool> more = true;
  for (int i = 0; i < kDropTurns && more.ok() && *more; ++i) more = store.DropOld(options_.history_retention);
}

// Records that are ours in the table but that nobody here runs: an answer to COMMIT was lost, or parking could not be
// written. Our lease would cover them for as long as any other saga of ours is slow.
void Recovery::DisownStrays(Store& store) {
  const absl::StatusOr<std::vector<Record>> overdue = store.Overdue(options_.owner);
  if (!overdue.ok() || overdue->empty()) return;
  std::set<std::pair<std::string, std::string>> flying;
  for (const FlightPtr& flight : flights_.Where([](const Flight& each) { return !each.lost.load(); })) {
    flying.emplace(flight->record.type, flight->record.id);
  }
  std::vector<Record> strays;
  std::set<std::tuple<std::string, std::string, std::int64_t>> disowned;
  for (const Record& record : *overdue) {
    if (flying.contains({record.type, record.id})) continue;
    strays.push_back(record);
    disowned.emplace(record.type, record.id, record.fence);
  }
  if (strays.empty()) return;
  telemetry::Warning("sagas that nobody ran are left to be taken over", {{"count", std::to_string(strays.size())}});
  if (!store.Disown(options_.owner, strays).ok()) return;  // the next turn tries again
  // One that began here only now, its COMMIT having taken longer than its lease, has lost its record by that.
  for (const FlightPtr& flight : flights_.Where([&](const Flight& each) {
         return disowned.contains({each.record.type, each.record.id, each.record.fence});
       })) {
    flight->lost.store(true);
  }
}

// Thousands that hang because a service is away leave room for those that need other services: a call ends at its
// deadline at the latest, and whoever has failed once counts apart. Of these, the first are parked before they are too
// many.
bool Recovery::HasRoom() const {
  return static_cast<std::size_t>(crowd_.fresh.load()) + batch_ <= options_.max_recovering &&
         static_cast<std::size_t>(crowd_.struggling.load()) + batch_ <= options_.max_struggling;
}

bool Recovery::Claim(Store& store) {
  const async::SteadyTime asked = async::SteadyNow();
  absl::StatusOr<std::vector<Claimed>> claimed = store.Claim(options_.owner, options_.lease, known_, batch_);
  if (!claimed.ok()) {
    // An outage is told elsewhere; anything else would leave orphans unseen.
    if (claimed.status().code() != absl::StatusCode::kUnavailable) {
      telemetry::Warning("cannot take over orphaned sagas", {{"error", claimed.status().ToString()}});
    }
    return false;
  }
  const bool full = claimed->size() == batch_;
  const auto orphans = std::ranges::count_if(*claimed, [](const Claimed& item) { return item.orphaned; });
  recovered_ += orphans;
  recovered_counter_.Increment(static_cast<double>(orphans));
  if (orphans > 0) telemetry::Info("orphaned sagas taken over", {{"count", std::to_string(orphans)}});
  for (Claimed& item : *claimed) {
    item.record.made = asked;
    if (item.orphaned) lag_histogram_.Observe(absl::ToDoubleSeconds(item.waited));
    resume_(std::move(item), crowd_, *executors_[next_executor_++ % executors_.size()]);
  }
  return full;
}

}  // namespace flotilla::saga
