// What holds of a gate of any number of segments.
#include "inventory/gate/test_gate.h"

namespace flotilla::inventory {
namespace {

class StockGateTest : public TestGate, public testing::WithParamInterface<int> {
 protected:
  StockGateTest() : TestGate(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Segments, StockGateTest, testing::Values(1, 4));
TEST_P(StockGateTest, TakesGivesAndKnowsItsOrders) {
  EXPECT_EQ(Take("o1", {{"a", 1}}).kind, Kind::kMissing);
  Load("a", 3);
  Load("a", 99);  // what it knows stays
  EXPECT_EQ(Take("o1", {{"a", 2}}).kind, Kind::kTaken);
  EXPECT_EQ(Take("o1", {{"a", 2}}).kind, Kind::kTaken) << "a repeat is let through, and takes nothing";
  EXPECT_EQ(Stock("a"), 1);
  EXPECT_EQ(Take("o2", {{"a", 2}}).kind, Kind::kRefused);
  EXPECT_EQ(Take("o2", {{"a", 1}}).kind, Kind::kTaken);
  EXPECT_EQ(Take("o1", {{"a", 2}}).kind, Kind::kTaken) << "the winner of the last unit asks again";
  Give("o1", "a");
  Give("o1", "a");
  Give("nobody", "a");
  EXPECT_EQ(Stock("a"), 2);
}

TEST_P(StockGateTest, AllLinesOrNone) {
  Load("a", 5);
  Load("b", 1);
  const TakeResult refused = Take("o1", {{"a", 2}, {"b", 2}});
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.sku, Name("b"));
  EXPECT_EQ(Take("o2", {{"a", 2}, {"c", 1}}).missing, std::vector<std::string>{Name("c")});
  EXPECT_EQ(Stock("a"), 5);
  EXPECT_EQ(Take("o1", {{"a", 2}, {"b", 1}}).kind, Kind::kTaken);
  EXPECT_EQ(Stock("a"), 3);
}

TEST_P(StockGateTest, LostScriptsAndKeysDoNoHarm) {
  Load("a", 5);
  ASSERT_TRUE(admin.Run({"SCRIPT", "FLUSH"}).ok());
  EXPECT_EQ(Take("o1", {{"a", 1}}).kind, Kind::kTaken);
  Forget("stock", "a");
  Give("o1", "a");
  EXPECT_EQ(Stock("a"), std::nullopt) << "it must learn from SQL, not from a return";
  EXPECT_EQ(Take("o2", {{"a", 1}}).kind, Kind::kMissing);
}

TEST_P(StockGateTest, CorrectionsDoNotOverrideWhatMoves) {
  Load("a", 5);
  Load("b", 5);
  const std::vector<StockGate::Correction> corrections = {{Name("a"), 5, 7}, {Name("b"), 4, 7}};
  ASSERT_TRUE(gate.Correct(corrections).ok());
  EXPECT_EQ(Stock("a"), 7);
  EXPECT_EQ(Stock("b"), 5);
  const std::vector<std::pair<std::string, std::int64_t>> lower = {{Name("a"), 2}, {Name("b"), 9}};
  ASSERT_TRUE(gate.LowerTo(lower).ok());
  EXPECT_EQ(Stock("a"), 2);
  EXPECT_EQ(Stock("b"), 5);
  ASSERT_TRUE(gate.Add(Name("a"), 3).ok());
  ASSERT_TRUE(gate.Add(Name("none"), 3).ok());
  EXPECT_EQ(Stock("a"), 5);
  EXPECT_EQ(Stock("none"), std::nullopt);
}

TEST_P(StockGateTest, ASoldOutFlagSparesTheStockButNotTheWinnersRepeat) {
  Load("hot", 1);
  EXPECT_EQ(Take("winner", {{"hot", 1}}).kind, Kind::kTaken);
  const async::SteadyTime asked = async::SteadyNow();  // a flag is short
  EXPECT_EQ(Take("o2", {{"hot", 2}}).kind, Kind::kRefused);
  EXPECT_TRUE(memory.sold_out.Has(Name("hot"), asked));
  // Stock that came back behind this process's back is not seen while the flag stands; the flag answers.
  SetStock("hot", 5);
  memory.sold_out.Set(Name("hot"), async::After(absl::Seconds(10)), memory.sold_out.clears());
  EXPECT_EQ(Take("o3", {{"hot", 1}}).kind, Kind::kRefused);
  EXPECT_EQ(Take("winner", {{"hot", 1}}).kind, Kind::kTaken) << "its mark counts before the flag";
  EXPECT_EQ(Stock("hot"), 5);
  Give("winner", "hot");
  EXPECT_FALSE(memory.sold_out.Has(Name("hot"), async::SteadyNow())) << "stock came back through this process";
  EXPECT_EQ(Take("o3", {{"hot", 1}}).kind, Kind::kTaken);
}

TEST_P(StockGateTest, AFlagFallsByItselfAndAnOvertakenAnswerRaisesNone) {
  SoldOut flags;
  const async::SteadyTime now = async::SteadyNow();
  flags.Set("a", now, flags.clears());
  EXPECT_TRUE(flags.Has("a", async::After(absl::Milliseconds(70), now)));
  EXPECT_FALSE(flags.Has("a", async::After(absl::Milliseconds(130), now)));
  const std::uint64_t before = flags.clears();
  flags.Clear("b");
  flags.Set("b", now, before);
  EXPECT_FALSE(flags.Has("b", now));
}

TEST_P(StockGateTest, TooFewUnitsForOneOrderAreNotSoldOut) {
  Load("few", 2);
  EXPECT_EQ(Take("o1", {{"few", 3}}).kind, Kind::kRefused);
  EXPECT_FALSE(memory.sold_out.Has(Name("few"), async::SteadyNow()));
  EXPECT_EQ(Take("o2", {{"few", 2}}).kind, Kind::kTaken);
}

TEST_P(StockGateTest, AGateThatMayHaveForgottenAnOrderRefusesNothingForSure) {
  Load("old", 0, true);
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kUnsure);
  Load("a", 5);
  EXPECT_EQ(Take("o2", {{"a", 1}, {"old", 1}}).kind, Kind::kUnsure);
  EXPECT_EQ(Stock("a"), 5) << "what was taken of the other line is back";
  // The same where a flag or a sale's end would refuse.
  memory.sold_out.Set(Name("old"), async::SteadyNow(), memory.sold_out.clears());
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kUnsure);
  Forget("young", "old");
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kRefused);
}

TEST_P(StockGateTest, LimitsAUserAndForgetsReturnedUnits) {
  Load("limit", 100);
  memory.rules.Set(Name("limit"), {.user_limit = 3});
  EXPECT_EQ(Take("o1", {{"limit", 2}}, "ann").kind, Kind::kTaken);
  const TakeResult refused = Take("o2", {{"limit", 2}}, "ann");
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refusal, Outcome::kPurchaseLimit);
  EXPECT_EQ(refused.sku, Name("limit"));
  EXPECT_EQ(Stock("limit"), 98);
  EXPECT_EQ(Take("o1", {{"limit", 2}}, "ann").kind, Kind::kTaken) << "a repeat";
  EXPECT_EQ(Take("o3", {{"limit", 3}}, "bob").kind, Kind::kTaken);
  EXPECT_EQ(Take("o4", {{"limit", 1}}, "ann").kind, Kind::kTaken);
  EXPECT_EQ(Users("limit", "ann"), "3");
  Give("o1", "limit");
  EXPECT_EQ(Users("limit", "ann"), "1");
  Give("o4", "limit");
  EXPECT_EQ(Users("limit", "ann"), "");
  EXPECT_EQ(Stock("limit"), 97);
  const StockGate::Purchase purchase{Name("limit"), "ann", 3};
  ASSERT_TRUE(gate.Learn({&purchase, 1}).ok());
  EXPECT_EQ(Take("o5", {{"limit", 1}}, "ann").refusal, Outcome::kPurchaseLimit);
  const Returned forgotten{"o9", {Name("limit")}, "ann"};
  ASSERT_TRUE(gate.Give({&forgotten, 1}).ok());
  EXPECT_EQ(Users("limit", "ann"), "") << "units came back of which the gate knew nothing: SQL counts";
  EXPECT_GT(admin.Run({"TTL", Key("users", "limit", Home("bob"))})->integer(), 0) << "what drifts must end";
}

TEST_P(StockGateTest, RefusesOutsideTheSaleButForRepeats) {
  Load("sale", 10);
  EXPECT_EQ(Take("early", {{"sale", 1}}).kind, Kind::kTaken);
  memory.rules.Set(Name("sale"), {.sale_end = absl::Now() - absl::Minutes(1)});
  EXPECT_EQ(Take("late", {{"sale", 1}}).refusal, Outcome::kSaleEnded);
  EXPECT_EQ(Take("early", {{"sale", 1}}).kind, Kind::kTaken);
  memory.rules.Set(Name("sale"), {.sale_start = absl::Now() + absl::Minutes(1)});
  EXPECT_EQ(Take("late", {{"sale", 1}}).refusal, Outcome::kSaleNotStarted);
  memory.rules.Set(Name("sale"), {.sale_end = absl::Now() - absl::Milliseconds(100)});
  EXPECT_EQ(Take("late", {{"sale", 1}}).kind, Kind::kTaken) << "so close to the end SQL's clock decides";
  EXPECT_EQ(Stock("sale"), 8);
}

TEST_P(StockGateTest, TheDatabasesTimeDecidesAboutSales) {
  StockGate::Memory ahead(GetParam(), [] { return absl::Now() + absl::Hours(1); });
  StockGate instance(Redis(), ahead);
  Load("clock", 10);
  ahead.rules.Set(Name("clock"), {.sale_start = absl::Now() + absl::Minutes(30)});
  const ReserveCommand command{"o1", {{Name("clock"), 1}}, absl::Seconds(30), ""};
  EXPECT_EQ(instance.Take({&command, 1})->front().kind, Kind::kTaken);
}

TEST_P(StockGateTest, AnExtendedHoldKeepsItsMark) {
  Load("extend", 1);
  Take("o1", {{"extend", 1}});
  const Line line{Name("extend"), 1};
  ASSERT_TRUE(gate.Extend("o1", {&line, 1}, absl::Minutes(30)).ok());
  EXPECT_GT(admin.Run({"TTL", Key("hold", "extend", Home("o1")) + ":o1"})->integer(), 1700);
}

}  // namespace
}  // namespace flotilla::inventory
