#include "postgres/database_clock.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "postgres/test_clock.h"
#include "testing/eventually.h"

namespace flotilla::postgres {
namespace {

constexpr absl::Duration kTenMinutes = absl::Minutes(10);
constexpr absl::Duration kMoment = absl::Seconds(5);  // of a busy machine

class DatabaseClockTest : public testing::Test {
 protected:
  // The test's server has this machine's clock.
  static bool IsAhead(const DatabaseClock& clock, absl::Duration ahead, absl::Duration moment = kMoment) {
    return absl::AbsDuration(clock.Now() - absl::Now() - ahead) < moment;
  }
  TestDatabase database_;
  TestClock server_{database_};
};

TEST_F(DatabaseClockTest, TellsTheServersTimeNotTheMachines) {
  server_.Set(-kTenMinutes);
  DatabaseClock clock(server_.options());
  ASSERT_TRUE(clock.Start().ok());
  EXPECT_TRUE(IsAhead(clock, -kTenMinutes)) << clock.Now();
  const absl::Time before = clock.Now();
  EXPECT_TRUE(Eventually([&] { return clock.Now() > before; })) << "it runs between the answers";
}

TEST_F(DatabaseClockTest, FollowsTheServer) {
  DatabaseClock clock(server_.options(), absl::Milliseconds(10));
  ASSERT_TRUE(clock.Start().ok());
  EXPECT_TRUE(IsAhead(clock, absl::ZeroDuration())) << clock.Now();
  server_.Set(kTenMinutes);
  EXPECT_TRUE(Eventually([&] { return IsAhead(clock, kTenMinutes); })) << clock.Now();
}

TEST_F(DatabaseClockTest, GoesOnFromTheLastAnswerWhileThereIsNone) {
  server_.Set(kTenMinutes);
  DatabaseClock clock(server_.options(), absl::Milliseconds(10));
  ASSERT_TRUE(clock.Start().ok());
  server_.Break();
  const int asked = server_.asked();
  EXPECT_TRUE(Eventually([&] { return server_.asked() > asked + 2; }));
  EXPECT_TRUE(IsAhead(clock, kTenMinutes)) << clock.Now();
}

// The answer of a slow round trip may be as old as the whole of it.
TEST_F(DatabaseClockTest, BelievesTheQuickestAnswer) {
  server_.SlowFirstAnswer(absl::Seconds(3));
  DatabaseClock clock(server_.options());
  ASSERT_TRUE(clock.Start().ok());
  EXPECT_TRUE(IsAhead(clock, absl::ZeroDuration(), absl::Seconds(1))) << clock.Now();
}

TEST(DatabaseClock, AServerThatIsAwayIsSaid) {
  DatabaseClock clock({.uri = "postgresql://127.0.0.1:1/none"});
  EXPECT_TRUE(absl::IsUnavailable(clock.Start()));
}

}  // namespace
}  // namespace flotilla::postgres
