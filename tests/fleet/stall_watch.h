// Where the machine itself stood still, calls fail whose limits are inside the fleet, and nobody is to blame.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace flotilla::fleet {

class StallWatch {
 public:
  StallWatch() : thread_([this] { Watch(); }) {}
  ~StallWatch();

  // True where it stood still for more than a second, half of the shortest limit, since the last call.
  bool Stalled();

 private:
  void Watch();

  std::atomic<bool> stop_ = false;
  std::atomic<std::chrono::steady_clock::duration> longest_ = {};
  std::thread thread_;
};

// Expects that `round` returns "": which calls failed. One that met a stall is repeated, twice at most.
void ExpectNoneFails(const std::function<std::string()>& round);

}  // namespace flotilla::fleet
