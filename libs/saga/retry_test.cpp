#include "saga/retry.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace flotilla::saga {
namespace {

TEST(Retry, WaitsGrowExponentiallyUpToTheMost) {
  const RetryPolicy policy{.initial = absl::Milliseconds(10), .factor = 3, .max = absl::Milliseconds(200)};
  EXPECT_EQ(LongestWait(policy, 1), absl::Milliseconds(10));
  EXPECT_EQ(LongestWait(policy, 2), absl::Milliseconds(30));
  EXPECT_EQ(LongestWait(policy, 3), absl::Milliseconds(90));
  EXPECT_EQ(LongestWait(policy, 4), absl::Milliseconds(200));
  EXPECT_EQ(LongestWait(policy, 1000000), absl::Milliseconds(200));
}

TEST(Retry, JitterSpreadsOverTheWholeWait) {
  const RetryPolicy policy{.initial = absl::Milliseconds(100)};
  absl::Duration least = absl::InfiniteDuration(), most = absl::ZeroDuration();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration wait = Backoff(policy, 1);
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, absl::ZeroDuration());
  EXPECT_LT(least, absl::Milliseconds(20));
  EXPECT_GT(most, absl::Milliseconds(80));
  EXPECT_LE(most, absl::Milliseconds(100));
}

TEST(Retry, AnOutageOfThreeQuartersOfAnHourParksNothing) {
  const RetryPolicy policy;
  absl::Duration waited;
  for (int attempt = 1; attempt < policy.max_attempts; ++attempt) waited += Backoff(policy, attempt);
  EXPECT_GT(waited, absl::Minutes(45));
}

TEST(Retry, RefusalsAreNotRetried) {
  EXPECT_TRUE(Retryable(absl::UnavailableError("")));
  EXPECT_TRUE(Retryable(absl::DeadlineExceededError("")));
  EXPECT_TRUE(Retryable(absl::UnknownError("")));
  EXPECT_TRUE(Retryable(absl::UnimplementedError("")));
  EXPECT_TRUE(Retryable(absl::UnauthenticatedError("")));
  EXPECT_TRUE(Retryable(absl::PermissionDeniedError("")));
  EXPECT_FALSE(Retryable(absl::FailedPreconditionError("")));
  EXPECT_FALSE(Retryable(absl::InvalidArgumentError("")));
  EXPECT_FALSE(Retryable(absl::NotFoundError("")));
}

}  // namespace
}  // namespace flotilla::saga
