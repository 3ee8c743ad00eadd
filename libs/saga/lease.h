// What an instance knows of its hold on its sagas, and how it keeps it. Part of the engine.
//
// A record has a lease for its first moments; from then on its owner's lease counts. Both are reckoned here by the
// steady clock from before the database was asked, so a lease has ended here before it ends there. Where it has ended,
// as after a freeze, no step is tried until a look at the fence has shown that nobody else took the saga over.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/stop_signal.h"
#include "saga/flight.h"
#include "saga/store.h"
#include "telemetry/metrics.h"

namespace flotilla::saga {

// The owner's lease. Written by one thread, read by any.
class Lease {
 public:
  bool Covers(const Flight& flight, async::SteadyTime now) const {
    const async::SteadyTime own = flight.held_until.load(std::memory_order_relaxed);
    if (now < own) return true;
    return now < until_.load(std::memory_order_acquire) && own > since_.load(std::memory_order_relaxed);
  }
  // Of those that it cannot cover: their own leases had ended when it began.
  bool BeganAfter(const Flight& flight) const { return flight.held_until.load() <= since_.load(); }

  async::SteadyTime until() const { return until_.load(std::memory_order_relaxed); }
  void Begin(async::SteadyTime since) { since_.store(since, std::memory_order_relaxed); }
  void Prolong(async::SteadyTime until) { until_.store(until, std::memory_order_release); }

 private:
  // Without a break; the beginning is written before the end.
  std::atomic<async::SteadyTime> since_ = async::SteadyTime::min(), until_ = async::SteadyTime::min();
};

// Renews the owner's lease while it has slow sagas, on a thread of its own: what is slow there would let the lease run
// out.
class LeaseKeeper {
 public:
  LeaseKeeper(const postgres::Options& postgres, std::string owner, absl::Duration length, const Flights& flights,
              Lease& lease);
  ~LeaseKeeper() { Stop(); }
  // What is still in flight is free for others at once.
  void Stop();

 private:
  void Run();
  void Renew(Store& store);
  void Look(Store& store, std::span<const FlightPtr> unsure, async::SteadyTime until);

  const postgres::Options postgres_;
  const std::string owner_;
  const absl::Duration length_;
  const Flights& flights_;
  Lease& lease_;
  prometheus::Gauge& in_flight_gauge_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::saga
