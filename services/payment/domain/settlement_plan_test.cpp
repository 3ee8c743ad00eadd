#include "payment/domain/settlement_plan.h"

#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
constexpr absl::Duration kAfter = absl::Hours(24);

Unsettled Charged(absl::Duration ago, int asked = 0) { return {"o", "anna", kNow - ago, asked}; }

SettlementPlan Plan(const Unsettled& charge, const OrderWord& word, absl::Duration after = kAfter) {
  return PlanSettlement({&charge, 1}, {&word, 1}, after, kNow);
}

TEST(SettlementPlan, CountsFromTheCompletionAndNotFromTheCharge) {
  const Unsettled charge = Charged(2 * kAfter);
  EXPECT_EQ(Plan(charge, {Standing::kComplete, kNow - kAfter}).settle, std::vector<std::string>{"o"});
  const SettlementPlan early = Plan(charge, {Standing::kComplete, kNow - kAfter + absl::Microseconds(1)});
  EXPECT_TRUE(early.settle.empty());
  ASSERT_EQ(early.wait.size(), 1u);
  EXPECT_EQ(early.wait[0].ask_at, kNow + absl::Microseconds(1));
  EXPECT_EQ(early.wait[0].standing, Standing::kComplete);
}

TEST(SettlementPlan, AnOrderIsNotCompleteBeforeItIsCharged) {
  const SettlementPlan plan = Plan(Charged(absl::Hours(1)), {Standing::kComplete, kNow - 2 * kAfter});
  ASSERT_EQ(plan.wait.size(), 1u);
  EXPECT_EQ(plan.wait[0].ask_at, kNow - absl::Hours(1) + kAfter);
}

TEST(SettlementPlan, WhatIsNotCompleteIsNeverSettledAndAskedAboutMoreAndMoreSeldom) {
  for (const Standing standing : {Standing::kUnderWay, Standing::kEnded, Standing::kUnknown}) {
    absl::Duration before = absl::ZeroDuration();
    for (const int asked : {0, 1, 2, 8, 9, 1000, 2'000'000'000}) {
      const SettlementPlan plan = Plan(Charged(absl::Hours(1000), asked), {standing}, absl::ZeroDuration());
      EXPECT_TRUE(plan.settle.empty());
      ASSERT_EQ(plan.wait.size(), 1u);
      const absl::Duration pause = plan.wait[0].ask_at - kNow;
      EXPECT_GE(pause, before);
      EXPECT_LE(pause, kLastAskAgain);
      before = pause;
    }
    EXPECT_EQ(before, kLastAskAgain);
  }
}

}  // namespace
}  // namespace flotilla::payment
