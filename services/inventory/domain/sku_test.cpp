#include "inventory/domain/sku.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace flotilla::inventory {
namespace {

TEST(SellingRulesTest, WindowIsOpenAtItsStartAndClosedAtItsEnd) {
  const absl::Time start = absl::FromUnixSeconds(100), end = absl::FromUnixSeconds(200);
  const SellingRules rules{.sale_start = start, .sale_end = end};
  const absl::Duration exact = absl::ZeroDuration(), tick = absl::Microseconds(1);
  EXPECT_EQ(rules.At(start - tick, exact), Sale::kNotStarted);
  EXPECT_EQ(rules.At(start, exact), Sale::kOpen);
  EXPECT_EQ(rules.At(end - tick, exact), Sale::kOpen);
  EXPECT_EQ(rules.At(end, exact), Sale::kEnded);
  EXPECT_EQ(rules.At(end, absl::Seconds(1)), Sale::kOpen) << "the clock may be a second fast";
  EXPECT_EQ(rules.At(start - tick, absl::Seconds(1)), Sale::kOpen);
  EXPECT_EQ(rules.At(end + absl::Seconds(1), absl::Seconds(1)), Sale::kEnded);
}

TEST(SellingRulesTest, OnlyAPriceRestrictsNothing) {
  EXPECT_FALSE(SellingRules{.sale_price = 5}.Restrict());
  EXPECT_TRUE(SellingRules{.user_limit = 1}.Restrict());
  EXPECT_TRUE(SellingRules{.sale_end = absl::FromUnixSeconds(1)}.Restrict());
  EXPECT_EQ(SellingRules{}.At(absl::Now(), absl::ZeroDuration()), Sale::kOpen);
}

TEST(LowStockTest, OnlyTheFallToTheThresholdCounts) {
  EXPECT_TRUE(BecomesLow(10, -1, 10));
  EXPECT_TRUE(BecomesLow(0, -100, 10));
  EXPECT_FALSE(BecomesLow(11, -1, 10));
  EXPECT_FALSE(BecomesLow(9, -1, 10)) << "it was low before";
  EXPECT_FALSE(BecomesLow(10, 5, 10)) << "it rose";
  EXPECT_FALSE(BecomesLow(0, -1, 0)) << "not watched";
}

}  // namespace
}  // namespace flotilla::inventory
