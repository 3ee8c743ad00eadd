#include "guard/adaptive_limit.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace flotilla::guard {
namespace {

constexpr double kDecrease = 0.9;  // and by as much as calls are too slow, but not below
constexpr double kSteepest = 0.5;
constexpr int kLateShare = 10;        // one in so many
constexpr double kFewer = 0.97;       // of the calls at once, for a decrease to show
constexpr double kTooLong = 0.25;     // the target is so much of the latency: fewer calls, whether it helps or not
constexpr double kUsed = 0.8;         // a limit that is not reached for is not raised
constexpr int kEnoughCalls = 20;      // to judge by
constexpr int kMinInterval = 50'000;  // us between two judgements

int Raised(int limit) { return limit + static_cast<int>(std::sqrt(limit)); }

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
  const int among = running_.fetch_sub(1, std::memory_order_relaxed);
  const std::int64_t judged_us = judged_us_.load(std::memory_order_relaxed);
  if (Micros(start) < judged_us) return false;
  const std::int64_t took_us = Micros(now) - Micros(start);
  if (absl::Microseconds(took_us) > options_.target) late_.fetch_add(1, std::memory_order_relaxed);
  spent_us_.fetch_add(took_us, std::memory_order_relaxed);
  among_.fetch_add(among, std::memory_order_relaxed);
  if (ended_.fetch_add(1, std::memory_order_relaxed) + 1 < kEnoughCalls) return false;
  const std::int64_t now_us = Micros(now);
  if (now_us - judged_us < kMinInterval) return false;
  // One of those that end now judges.
  std::int64_t expected = judged_us;
  return judged_us_.compare_exchange_strong(expected, now_us, std::memory_order_relaxed) && Judge();
}

bool AdaptiveLimit::Judge() {
  const std::lock_guard lock(judging_);
  const int ended = ended_.exchange(0, std::memory_order_relaxed);
  const int late = late_.exchange(0, std::memory_order_relaxed);
  const std::int64_t spent_us = spent_us_.exchange(0, std::memory_order_relaxed);
  const std::int64_t among = among_.exchange(0, std::memory_order_relaxed);
  const int peak = peak_.exchange(running(), std::memory_order_relaxed);
  const int before = limit();
  // What really ran: a limit far above it would take long to come down to where it matters.
  const int used = std::max(1, std::min(before, std::max(peak, running())));
  const double mean_us = static_cast<double>(spent_us) / ended;
  const Cut cut = std::exchange(cut_, {});
  int after = before;
  if (late * kLateShare > ended) {
    const Load load{static_cast<double>(among) / ended, mean_us};
    const bool seen = cut.from > 0 && load.among < kFewer * cut.load.among;
    const bool in_vain = seen && load.PerUs() < cut.load.PerUs() * (1 + load.among / cut.load.among) / 2;
    if (seen) gently_ = in_vain;
    const double ratio = absl::ToDoubleMicroseconds(options_.target) / mean_us;
    if (in_vain && ratio > kTooLong) {
      after = Raised(cut.from);
    } else {
      after =
          static_cast<int>(used * std::clamp(ratio, gently_ && ratio > kTooLong ? kDecrease : kSteepest, kDecrease));
      cut_ = {seen || cut.from == 0 ? used : cut.from, load};
    }
  } else if (peak >= before * kUsed) {
    after = Raised(before);
  }
  after = std::clamp(after, std::min(options_.least, options_.most), options_.most);
  limit_.store(after, std::memory_order_relaxed);
  return after != before;
}

}  // namespace flotilla::guard
