#include "saga/watchdog.h"

#include "telemetry/metrics.h"

namespace flotilla::saga {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(50);

async::Task<void> GiveUpOverdue(FlightPtr flight) {
  telemetry::Counter("flotilla_saga_overdue_total", "Attempts of steps that were given up at their deadline",
                     {{"type", flight->record.type}})
      .Increment(flight->calls.GiveUpOverdue());
  co_return;
}

}  // namespace

void Watchdog::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Run() {
  while (!stop_.WaitFor(kPeriod)) {
    const async::SteadyTime now = async::SteadyNow();
    const auto late = flights_.Where([now](const Flight& flight) { return flight.calls.Overdue(now); });
    for (const FlightPtr& flight : late) {
      if (async::Executor* executor = flight->calls.TakeOverdue(now)) async::Spawn(*executor, GiveUpOverdue(flight));
    }
  }
}

}  // namespace flotilla::saga
