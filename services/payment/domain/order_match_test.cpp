#include "payment/domain/order_match.h"

#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

using enum DifferenceClass;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

KeptMoney Kept(std::int64_t captured, std::int64_t refunded = 0) { return {"EUR", captured, refunded}; }
OrderWord Sold(std::int64_t total, std::int64_t refunded = 0) {
  return {.standing = Standing::kComplete, .total = {"EUR", total}, .refunded = refunded};
}
const OrderWord kEndedUnsold{.standing = Standing::kEnded}, kNone{.standing = Standing::kUnknown},
    kBusy{.standing = Standing::kUnderWay};

TEST(OrderMatch, WhatAgrees) {
  EXPECT_EQ(Match(Kept(100), Sold(100)).mismatch, std::nullopt);
  EXPECT_EQ(Match(Kept(100, 30), Sold(100, 30)).mismatch, std::nullopt);
  EXPECT_EQ(Match(Kept(100, 100), Sold(100, 100)).mismatch, std::nullopt);
  for (const KeptMoney& kept : {KeptMoney(), Kept(100, 100)}) {
    EXPECT_EQ(Match(kept, kEndedUnsold).mismatch, std::nullopt);
    EXPECT_EQ(Match(kept, kNone).mismatch, std::nullopt);
    EXPECT_FALSE(Match(kept, kEndedUnsold).under_way);
  }
}

TEST(OrderMatch, EachKindOfDifference) {
  EXPECT_EQ(Match(Kept(100, 30), kNone).mismatch, (Mismatch{kOrderMissing, 0, 70, "EUR"}));
  EXPECT_EQ(Match(Kept(100, 99), kEndedUnsold).mismatch, (Mismatch{kOrderNotRefunded, 0, 1, "EUR"}));
  EXPECT_EQ(Match(KeptMoney(), Sold(100, 40)).mismatch, (Mismatch{kOrderNotCharged, 60, 0, "EUR"}));
  EXPECT_EQ(Match(Kept(100, 100), Sold(100)).mismatch, (Mismatch{kOrderNotCharged, 100, 0, "EUR"}));
  EXPECT_EQ(Match(Kept(101), Sold(100)).mismatch, (Mismatch{kOrderAmountDiffers, 100, 101, "EUR"}));
  EXPECT_EQ(Match(Kept(100, 20), Sold(100, 30)).mismatch, (Mismatch{kOrderAmountDiffers, 70, 80, "EUR"}));
  EXPECT_EQ(Match(Kept(110, 20), Sold(100, 10)).mismatch, (Mismatch{kOrderAmountDiffers, 100, 110, "EUR"}))
      << "the rest alone would agree";
  EXPECT_EQ(Match({"USD", 100, 0}, Sold(100)).mismatch, (Mismatch{kOrderAmountDiffers, 100, 0, "EUR"}));
  EXPECT_EQ(Match({"USD", 100, 0}, Sold(100, 100)).mismatch, (Mismatch{kOrderAmountDiffers, 0, 100, "USD"}));
}

MatchPlan Plan(const OrderLook& look, const KeptMoney& kept, const OrderWord& word) {
  return PlanMatch({&look, 1}, {&kept, 1}, {&word, 1}, absl::Minutes(1), kNow);
}

TEST(OrderMatch, IsToldWhenASecondLookFindsTheSame) {
  OrderLook look{.order_id = "o", .user_id = "u"};
  MatchPlan plan = Plan(look, Kept(100), kEndedUnsold);
  ASSERT_EQ(plan.wait.size(), 1u);
  EXPECT_FALSE(plan.wait[0].confirmed);
  EXPECT_EQ(plan.wait[0].look_at, kNow + kFirstLookAgain);
  look = plan.wait[0].look;
  EXPECT_EQ(look.suspected->ours, 100);
  EXPECT_FALSE(Plan(look, Kept(100, 10), kEndedUnsold).wait[0].confirmed) << "another difference than before";
  EXPECT_TRUE(Plan(look, Kept(100), kEndedUnsold).wait[0].confirmed);
  EXPECT_EQ(Plan(look, Kept(100, 100), kEndedUnsold).over, std::vector<std::string>{"o"}) << "it was under way";
  look.dismissed = true;
  EXPECT_EQ(Plan(look, Kept(100), kEndedUnsold).over, std::vector<std::string>{"o"});
  EXPECT_TRUE(Plan(look, Kept(100, 10), kEndedUnsold).over.empty()) << "not what was dismissed";
}

TEST(OrderMatch, LooksMoreAndMoreSeldom) {
  OrderLook look{.order_id = "o", .user_id = "u", .looks = 3};
  EXPECT_EQ(Plan(look, Kept(100), kBusy).wait[0].look_at, kNow + absl::Seconds(16));
  look.looks = 1000;
  EXPECT_EQ(Plan(look, Kept(100), kBusy).wait[0].look_at, kNow + absl::Minutes(1));
}

TEST(OrderMatch, AnOrderUnderWayIsNoDifferenceUntilItTakesTooLong) {
  OrderLook look{.order_id = "o", .user_id = "u"};
  EXPECT_EQ(Plan(look, Kept(100), kBusy).wait[0].look.suspected, std::nullopt);
  look.since = kNow - kUnfinishedAfter + absl::Seconds(1);
  EXPECT_EQ(Plan(look, Kept(100), kBusy).wait[0].look.suspected, std::nullopt);
  look.since = kNow - kUnfinishedAfter;
  EXPECT_EQ(Plan(look, Kept(100), kBusy).wait[0].look.suspected, (Mismatch{kOrderUnfinished, 0, 100, "EUR"}));
  EXPECT_EQ(Plan(look, Kept(100, 100), kBusy).wait[0].look.suspected, std::nullopt) << "nothing is kept";
}

}  // namespace
}  // namespace flotilla::payment
