// Sagas in flight on this instance. Part of the engine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "async/steady_time.h"
#include "saga/pending.h"
#include "saga/saga.h"
#include "tracing/span.h"

namespace flotilla::saga {

// How many recovered sagas are in flight: those that go well so far, and those of which an attempt has failed.
struct Crowd {
  std::atomic<int> fresh = 0;
  std::atomic<int> struggling = 0;
};

struct Flight {
  Record record;                                 // as begun or claimed: names the lease
  std::shared_ptr<const Definition> definition;  // outlives the calls that the saga has given up
  async::SteadyTime started;                     // here, which is the record's age after its beginning
  // By the record's own lease, or by the last look at its fence; see lease.h.
  std::atomic<async::SteadyTime> held_until;
  std::atomic<bool> lost = false;  // another owner has it
  tracing::Span span = {};         // of the whole run here, where the call that began it is traced
  PendingCalls calls = {};
  // From here on the saga's own, on its executor.
  Context context = {};    // of its steps, until one of their calls is given up
  bool troubled = false;   // its history has something: then its end is written there, too
  Crowd* crowd = nullptr;  // of a recovered one
  bool struggling = false;
  bool exhausted = false;  // taken over too often

  // An attempt has failed.
  void Struggle() {
    troubled = true;
    if (std::exchange(struggling, true) || crowd == nullptr) return;
    ++crowd->struggling;
    --crowd->fresh;
  }
};

using FlightPtr = std::shared_ptr<Flight>;

// Every method from any thread.
class Flights {
 public:
  void Add(const FlightPtr& flight) {
    std::lock_guard lock(mutex_);
    flights_.insert(flight);
    size_.store(flights_.size());
  }

  void Remove(const FlightPtr& flight) {
    {
      std::lock_guard lock(mutex_);
      flights_.erase(flight);
      size_.store(flights_.size());
    }
    removed_.notify_all();
  }

  std::size_t size() const { return size_.load(); }

  template <class Predicate>
  std::vector<FlightPtr> Where(Predicate predicate) const {
    std::vector<FlightPtr> found;
    std::lock_guard lock(mutex_);
    for (const FlightPtr& flight : flights_) {
      if (predicate(*flight)) found.push_back(flight);
    }
    return found;
  }

  void AwaitNone(absl::Duration limit) {
    std::unique_lock lock(mutex_);
    removed_.wait_for(lock, absl::ToChronoNanoseconds(limit), [this] { return flights_.empty(); });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable removed_;
  std::unordered_set<FlightPtr> flights_;
  std::atomic<std::size_t> size_ = 0;
};

}  // namespace flotilla::saga
