#include "guard/rate_limits.h"

#include "gtest/gtest.h"

namespace flotilla::guard {
namespace {

TEST(RateLimits, ReadsWhatAnOperatorWrites) {
  const auto limits = RateLimits::Parse("*=200:400,a.S/M=0.5:1,a.S/Free=off");
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ(limits->Of("a.S/Other")->per_second, 200);
  EXPECT_EQ(limits->Of("a.S/Other")->burst, 400);
  EXPECT_EQ(limits->Of("a.S/M")->per_second, 0.5);
  EXPECT_FALSE(limits->Of("a.S/Free").has_value());
  EXPECT_FALSE(RateLimits::Parse("")->Of("a.S/M").has_value());
  EXPECT_FALSE(RateLimits::Parse("a.S/M=1:1")->Of("a.S/N").has_value());
}

TEST(RateLimits, NamesThePartThatIsWrong) {
  for (const char* bad : {"*", "*=", "*=1", "*=1:", "*=:1", "*=0:1", "*=-1:1", "*=1:0", "*=1:2:3", "*=nan:1", "*=inf:1",
                          "*=1e9:1", "M=1:1", "a.S.M=1:1", "=1:1", "*=on"}) {
    const auto limits = RateLimits::Parse(std::string("a.S/M=1:1,") + bad);
    ASSERT_FALSE(limits.ok()) << bad;
    EXPECT_NE(limits.status().message().find(bad), absl::string_view::npos) << limits.status();
  }
  EXPECT_FALSE(RateLimits::Parse("a.S/M=1:1,a.S/M=2:2").ok());
}

}  // namespace
}  // namespace flotilla::guard
