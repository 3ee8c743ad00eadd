#include "guard/adaptive_limit.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "gtest/gtest.h"

namespace flotilla::guard {
namespace {

// A server that works off calls one after the other, `per_second` of them, and is asked `offered` times a second; time
// is the test's own.
class Simulation {
 public:
  explicit Simulation(AdaptiveLimit& limit) : limit_(limit) {}
  // Answers calls ended a second, within the last half of the time.
  double Run(double offered, double per_second, absl::Duration time) {
    const async::SteadyTime end = async::After(time, now_), half = async::After(time / 2, now_);
    int ended = 0;
    double arrivals = 0, capacity = 0;
    longest_ = absl::ZeroDuration();
    for (constexpr std::chrono::milliseconds kTick(1); now_ < end; now_ += kTick) {
      for (arrivals += offered / 1000; arrivals >= 1; --arrivals) {
        if (limit_.TryAcquire()) queue_.push_back(now_);
      }
      capacity = std::min(capacity + per_second / 1000, 1 + per_second / 1000);
      for (; capacity >= 1 && !queue_.empty(); --capacity) {
        limit_.Release(queue_.front(), now_);
        if (now_ >= half) {
          ++ended;
          longest_ = std::max(longest_, absl::FromChrono(now_ - queue_.front()));
        }
        queue_.pop_front();
      }
    }
    return ended / absl::ToDoubleSeconds(time / 2);
  }
  absl::Duration longest() const { return longest_; }

 private:
  AdaptiveLimit& limit_;
  async::SteadyTime now_ = async::SteadyNow();
  std::deque<async::SteadyTime> queue_;
  absl::Duration longest_;
};

TEST(AdaptiveLimit, RefusesBeyondTheLimit) {
  AdaptiveLimit limit({.initial = 2});
  EXPECT_TRUE(limit.TryAcquire());
  EXPECT_TRUE(limit.TryAcquire());
  EXPECT_FALSE(limit.TryAcquire());
  limit.Release(async::SteadyNow(), async::SteadyNow());
  EXPECT_TRUE(limit.TryAcquire());
  EXPECT_EQ(limit.running(), 2);
}

TEST(AdaptiveLimit, TenTimesTheLoadIsServedAtTheFullRateAndInTime) {
  AdaptiveLimit limit({});
  Simulation server(limit);
  const double rate = server.Run(10'000, 1000, absl::Seconds(60));
  EXPECT_GT(rate, 950);
  EXPECT_LT(server.longest(), absl::Milliseconds(1500));
  EXPECT_LT(limit.limit(), 1500) << "it began at 2,000";
  // Back to normal: the backlog of a second is gone five seconds later.
  EXPECT_GT(server.Run(800, 1000, absl::Seconds(11)), 790);
  EXPECT_LT(server.longest(), absl::Milliseconds(100));
}

TEST(AdaptiveLimit, RisesWhereItWasTooLow) {
  AdaptiveLimit limit({.initial = 50, .least = 10});
  Simulation server(limit);
  server.Run(100'000, 10'000, absl::Seconds(60));
  EXPECT_GT(limit.limit(), 5000);
}

TEST(AdaptiveLimit, IsNotRaisedWhereNobodyReachesForIt) {
  AdaptiveLimit limit({});
  Simulation server(limit);
  server.Run(100, 1000, absl::Seconds(60));
  EXPECT_EQ(limit.limit(), 2000);
}

// Each call takes so long, however many there are: as where a database's disk is slow.
double RunWithLatency(AdaptiveLimit& limit, int offered, absl::Duration latency, absl::Duration time) {
  async::SteadyTime now = async::SteadyNow();
  const async::SteadyTime end = async::After(time, now), half = async::After(time / 2, now);
  std::deque<async::SteadyTime> running;
  int answered = 0;
  double arrivals = 0;
  for (constexpr std::chrono::milliseconds kTick(1); now < end; now += kTick) {
    for (arrivals += offered / 1000.0; arrivals >= 1; --arrivals) {
      if (limit.TryAcquire()) running.push_back(now);
    }
    for (; !running.empty() && async::After(latency, running.front()) <= now; running.pop_front()) {
      limit.Release(running.front(), now);
      if (now >= half) ++answered;
    }
  }
  return answered / absl::ToDoubleSeconds(time / 2);
}

TEST(AdaptiveLimit, WhereFewerCallsAreNoQuickerTheyStay) {
  for (const absl::Duration latency : {absl::Milliseconds(1100), absl::Milliseconds(2500)}) {
    AdaptiveLimit limit({});
    EXPECT_GT(RunWithLatency(limit, 200, latency, absl::Seconds(120)), 160) << latency;
  }
}

TEST(AdaptiveLimit, AfterAStandstillItIsSoonWhatItWas) {
  AdaptiveLimit limit({});
  Simulation server(limit);
  server.Run(2000, 1500, absl::Seconds(10));
  server.Run(2000, 20, absl::Seconds(10));
  server.Run(1400, 1500, absl::Seconds(5));
  EXPECT_GT(server.Run(1400, 1500, absl::Seconds(4)), 1350);
}

TEST(AdaptiveLimit, FollowsAServerThatBecomesSlow) {
  AdaptiveLimit limit({});
  Simulation server(limit);
  server.Run(2000, 1500, absl::Seconds(30));
  const double rate = server.Run(2000, 100, absl::Seconds(120));
  EXPECT_GT(rate, 95);
  EXPECT_LT(server.longest(), absl::Seconds(2));
  EXPECT_GE(limit.limit(), 50);
  EXPECT_GT(server.Run(1400, 1500, absl::Seconds(10)), 1300) << "and recovers";
}

}  // namespace
}  // namespace flotilla::guard
