#include "fleet/stall_watch.h"

#include <iostream>

#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using std::chrono::steady_clock;

constexpr int kRounds = 3;

}  // namespace

StallWatch::~StallWatch() {
  stop_ = true;
  thread_.join();
}

void StallWatch::Watch() {
  for (auto before = steady_clock::now(); !stop_;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto now = steady_clock::now();
    // Only Stalled() writes, too, and makes it less.
    if (now - before > longest_.load()) longest_ = now - before;
    before = now;
  }
}

bool StallWatch::Stalled() { return longest_.exchange({}) > std::chrono::seconds(1); }

void ExpectNoneFails(const std::function<std::string()>& round) {
  StallWatch watch;
  for (int n = 1;; ++n) {
    watch.Stalled();
    const std::string failed = round();
    if (failed.empty() || testing::Test::HasFailure()) return;
    if (n == kRounds || !watch.Stalled()) {
      ADD_FAILURE() << "calls failed:" << failed;
      return;
    }
    std::cout << "calls failed while the machine stood still, once more:" << failed << "\n";
  }
}

}  // namespace flotilla::fleet
