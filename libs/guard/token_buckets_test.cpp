#include "guard/token_buckets.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace flotilla::guard {
namespace {

constexpr Rate kRate{.per_second = 10, .burst = 5};

TEST(TokenBuckets, GivesABurstAndThenTheRate) {
  TokenBuckets buckets;
  async::SteadyTime now = async::SteadyNow();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(buckets.Take(1, kRate, now), absl::ZeroDuration()) << i;
  EXPECT_EQ(buckets.Wait(1, kRate, now), absl::Milliseconds(100)) << "to ask costs no token";
  EXPECT_EQ(buckets.Wait(2, kRate, now), absl::ZeroDuration());
  EXPECT_EQ(buckets.Take(1, kRate, now), absl::Milliseconds(100));
  now = async::After(absl::Milliseconds(60), now);
  EXPECT_EQ(buckets.Take(1, kRate, now), absl::Milliseconds(40)) << "a refusal costs no token";
  now = async::After(absl::Milliseconds(40), now);
  EXPECT_EQ(buckets.Take(1, kRate, now), absl::ZeroDuration());
  EXPECT_GT(buckets.Take(1, kRate, now), absl::ZeroDuration());
  now = async::After(absl::Hours(1), now);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(buckets.Take(1, kRate, now), absl::ZeroDuration()) << i;
  EXPECT_GT(buckets.Take(1, kRate, now), absl::ZeroDuration()) << "no more than a burst is saved up";
}

TEST(TokenBuckets, KeysDoNotShare) {
  TokenBuckets buckets;
  const async::SteadyTime now = async::SteadyNow();
  for (int i = 0; i < 5; ++i) buckets.Take(1, kRate, now);
  EXPECT_GT(buckets.Take(1, kRate, now), absl::ZeroDuration());
  EXPECT_EQ(buckets.Take(2, kRate, now), absl::ZeroDuration());
  EXPECT_EQ(buckets.Take(1 + (1ull << 40), kRate, now), absl::ZeroDuration()) << "of the same row";
}

TEST(TokenBuckets, InAFullRowTheOneNearestToFullGivesWay) {
  TokenBuckets buckets(4);  // one row
  async::SteadyTime now = async::SteadyNow();
  for (std::uint64_t key = 1; key <= 4; ++key) {
    for (std::uint64_t i = 0; i <= key; ++i) buckets.Take(key, {10, 5}, now);
  }
  EXPECT_GT(buckets.Take(4, kRate, now), absl::ZeroDuration());
  EXPECT_EQ(buckets.Take(9, kRate, now), absl::ZeroDuration());
  EXPECT_GT(buckets.Take(4, kRate, now), absl::ZeroDuration()) << "an empty bucket stays";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(buckets.Take(1, kRate, now), absl::ZeroDuration()) << "this one gave way";
}

TEST(TokenBuckets, ManyThreadsGetNoMoreThanTheBurst) {
  TokenBuckets buckets;
  const async::SteadyTime now = async::SteadyNow();
  std::atomic<int> taken = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) taken += buckets.Take(7, {1, 500}, now) == absl::ZeroDuration();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 500);
}

}  // namespace
}  // namespace flotilla::guard
