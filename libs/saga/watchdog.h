// Sees to it that no saga waits for a call that outlasts its deadline. Part of the engine.
#pragma once

#include <thread>

#include "async/stop_signal.h"
#include "saga/flight.h"

namespace flotilla::saga {

// One thread for all sagas: a timer for each call would cost the many that end in time.
class Watchdog {
 public:
  explicit Watchdog(const Flights& flights) : flights_(flights), thread_([this] { Run(); }) {}
  ~Watchdog() { Stop(); }
  void Stop();

 private:
  void Run();

  const Flights& flights_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::saga
