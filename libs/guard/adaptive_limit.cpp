#include "guard/adaptive_limit.h"

#include <algorithm>
#include <cmath>

namespace flotilla::guard {
namespace {

constexpr double kDecrease = 0.9;  // and by as much as calls are too slow, but not below
constexpr double kSteepest = 0.5;
constexpr int kLateShare = 10;        // one in so many
constexpr double kUsed = 0.8;         // a limit that is not reached for is not raised
constexpr int kEnoughCalls = 20;      // to judge by
constexpr int kMinInterval = 50'000;  // us between two judgements

std::int64_t Micros(async::SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

}  // namespace

bool AdaptiveLimit::TryAcquire() {
  const int running = running_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (running > limit()) {
    running_.fetch_sub(1, std::memory_order_relaxed);
    peak_.store(running, std::memory_order_relaxed);
    return false;
  }
  // Lost updates of racing calls are made good by the next ones.
  if (running > peak_.load(std::memory_order_relaxed)) peak_.store(running, std::memory_order_relaxed);
  return true;
}

bool AdaptiveLimit::Release(async::SteadyTime start, async::SteadyTime now) {
  running_.fetch_sub(1, std::memory_order_relaxed);
  const std::int64_t judged_us = judged_us_.load(std::memory_order_relaxed);
  if (Micros(start) < judged_us) return false;
  const std::int64_t took_us = Micros(now) - Micros(start);
  if (absl::Microseconds(took_us) > options_.target) late_.fetch_add(1, std::memory_order_relaxed);
  spent_us_.fetch_add(took_us, std::memory_order_relaxed);
  if (ended_.fetch_add(1, std::memory_order_relaxed) + 1 < kEnoughCalls) return false;
  const std::int64_t now_us = Micros(now);
  if (now_us - judged_us < kMinInterval) return false;
  // One of those that end now judges.
  std::int64_t expected = judged_us;
  return judged_us_.compare_exchange_strong(expected, now_us, std::memory_order_relaxed) && Judge();
}

bool AdaptiveLimit::Judge() {
  const int ended = ended_.exchange(0, std::memory_order_relaxed);
  const int late = late_.exchange(0, std::memory_order_relaxed);
  const std::int64_t spent_us = spent_us_.exchange(0, std::memory_order_relaxed);
  const int peak = peak_.exchange(running(), std::memory_order_relaxed);
  const int before = limit();
  int after = before;
  if (late * kLateShare > ended) {
    // From what really ran: a limit far above it would take long to come down to where it matters.
    const double ratio = absl::ToDoubleMicroseconds(options_.target) * ended / static_cast<double>(spent_us);
    after = static_cast<int>(std::min(before, std::max(peak, running())) * std::clamp(ratio, kSteepest, kDecrease));
  } else if (peak >= before * kUsed) {
    after = before + static_cast<int>(std::sqrt(before));
  }
  after = std::clamp(after, std::min(options_.least, options_.most), options_.most);
  limit_.store(after, std::memory_order_relaxed);
  return after != before;
}

}  // namespace flotilla::guard
