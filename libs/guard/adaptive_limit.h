// How many calls of a method may run at once, found out from how long they take.
//
// Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for
// Congestion Avoidance in Computer Networks", 1989), with the factor and the latency threshold of AIMDLimit in
// Netflix's concurrency-limits. A decrease that makes calls no quicker is taken back: where something else is slow,
// each step down would only take throughput, to the very last. Not a gradient against the latency without load (TCP
// Vegas, Gradient2): here calls wait for one another to travel in batches, so some latency under load is what makes
// them cheap.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "async/steady_time.h"

namespace flotilla::guard {

struct AdaptiveLimitOptions {
  absl::Duration target = absl::Seconds(1);  // more than a tenth of the calls above it: too many at once
  int initial = 2000;
  int least = 50;
  int most = 20000;
};

// Thread-safe; calls take no lock, but for the one in many that judges.
class AdaptiveLimit {
 public:
  explicit AdaptiveLimit(AdaptiveLimitOptions options) : options_(options), limit_(options.initial) {}

  // False where the limit is reached. Each true is followed by one Release.
  bool TryAcquire();
  // The call began at `start` and ends at `now`. True where the limit has changed.
  bool Release(async::SteadyTime start, async::SteadyTime now);

  int limit() const { return limit_.load(std::memory_order_relaxed); }
  int running() const { return running_.load(std::memory_order_relaxed); }

 private:
  // Among how many a call ran, and how long it took: by Little's law how many are answered.
  struct Load {
    double among = 0, took_us = 0;
    double PerUs() const { return among / took_us; }
  };
  // A decrease and the load before it. Where the load after it shows that most of what was cut is lost, calls are slow
  // for other reasons than one another, and it is taken back.
  struct Cut {
    int from = 0;  // 0: the last judgement was another
    Load load = {};
  };
  bool Judge();

  const AdaptiveLimitOptions options_;
  std::atomic<int> limit_;
  std::atomic<int> running_ = 0;
  // Since the last judgement, of calls that began after it: what began before tells of the limit before.
  std::atomic<int> ended_ = 0, late_ = 0;
  std::atomic<std::int64_t> spent_us_ = 0, among_ = 0;
  std::atomic<int> peak_ = 0;
  std::atomic<std::int64_t> judged_us_ = 0;
  // Of those that judge, 50 ms or more apart.
  std::mutex judging_;
  Cut cut_;
  bool gently_ = false;  // the last decrease was in vain
};

}  // namespace flotilla::guard
