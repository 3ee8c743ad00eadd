#include "failpoint/failpoint.h"

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#ifdef FLOTILLA_FAILPOINTS

ABSL_DECLARE_FLAG(std::string, failpoints);

namespace flotilla::failpoint {
namespace {

// The flag is read once a process.
const char kRules[] = "a=error;b=lost@2;c.*=delay:20ms;d=crash@2;e=refuse;f.*=trace";

TEST(Failpoint, FailsWhereAndWhenItIsTold) {
  absl::SetFlag(&FLAGS_failpoints, kRules);
  EXPECT_EQ(FLOTILLA_FAILPOINT("a").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(FLOTILLA_FAILPOINT("a").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(FLOTILLA_FAILPOINT("b").ok());
  EXPECT_EQ(FLOTILLA_FAILPOINT("b").code(), absl::StatusCode::kUnknown);
  EXPECT_TRUE(FLOTILLA_FAILPOINT("b").ok());
  const absl::Time start = absl::Now();
  EXPECT_TRUE(FLOTILLA_FAILPOINT("c.x").ok());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(20));
  EXPECT_TRUE(FLOTILLA_FAILPOINT("other").ok());
  EXPECT_EQ(FLOTILLA_FAILPOINT("e").code(), absl::StatusCode::kFailedPrecondition);
  testing::internal::CaptureStderr();
  FLOTILLA_DECLARE_FAILPOINT("f.x");
  FLOTILLA_DECLARE_FAILPOINT("g.x");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("\"name\":\"f.x.before\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"name\":\"f.x.after\""), std::string::npos) << log;
  EXPECT_EQ(log.find("g.x"), std::string::npos) << log;
  EXPECT_TRUE(FLOTILLA_FAILPOINT("d").ok());
  EXPECT_EXIT(FLOTILLA_FAILPOINT("d").IgnoreError(), testing::KilledBySignal(SIGKILL), "");
}

TEST(FailpointDeathTest, AMalformedFlagEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // a process that has not read the flag yet
  for (const char* rules : {"a", "=crash", "a=boom", "a=delay:x", "a=crash@0"}) {
    EXPECT_EXIT((absl::SetFlag(&FLAGS_failpoints, rules), FLOTILLA_FAILPOINT("a").IgnoreError()),
                testing::ExitedWithCode(2), "failpoints");
  }
}

}  // namespace
}  // namespace flotilla::failpoint

#else

TEST(Failpoint, IsNothingInARelease) {
  bool named = false;
  const auto name = [&named] {
    named = true;
    return "a";
  };
  EXPECT_TRUE(FLOTILLA_FAILPOINT(name()).ok());
  FLOTILLA_DECLARE_FAILPOINT(name());
  EXPECT_FALSE(named);
  (void)name;
}

#endif
