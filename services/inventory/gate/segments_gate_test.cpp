// What only a gate of several segments does.
#include "absl/strings/numbers.h"
#include "inventory/gate/test_gate.h"

namespace flotilla::inventory {
namespace {

class SegmentsGateTest : public TestGate {
 protected:
  SegmentsGateTest() : TestGate(4) {}
  std::vector<std::int64_t> Segments(const std::string& sku) {
    std::vector<std::int64_t> units;
    for (int i = 0; i < memory.segments; ++i) {
      const auto reply = admin.Run({"GET", Key("stock", sku, i)});
      units.push_back(-1000);
      if (!reply->nil()) EXPECT_TRUE(absl::SimpleAtoi(reply->string(), &units.back()));
    }
    return units;
  }
  bool Marked(const std::string& sku, int segment, const std::string& order) {
    return admin.Run({"EXISTS", Key("hold", sku, segment) + ":" + order})->integer() == 1;
  }
};

using Units = std::vector<std::int64_t>;

TEST_F(SegmentsGateTest, AnOrderBeginsAtHomeAndTakesFromTheNextWhereItIsShort) {
  Load("a", 10);
  EXPECT_EQ(Segments("a"), (Units{3, 3, 2, 2}));
  const std::string order = OrderAt(2), other = OrderAt(3);
  EXPECT_EQ(Take(order, {{"a", 2}}).kind, Kind::kTaken);
  EXPECT_EQ(Segments("a"), (Units{3, 3, 0, 2}));
  EXPECT_EQ(Take(other, {{"a", 4}}).kind, Kind::kTaken);
  EXPECT_EQ(Segments("a"), (Units{0, 2, 0, 2})) << "home was short, so from the others, in turn";
  EXPECT_EQ(Take(other, {{"a", 4}}).kind, Kind::kTaken);
  EXPECT_TRUE(Take(other, {{"a", 4}}).taken.empty()) << "a repeat";
  EXPECT_EQ(Segments("a"), (Units{0, 2, 0, 2}));
  Give(other, "a");
  Give(other, "a");
  EXPECT_EQ(Segments("a"), (Units{3, 3, 0, 2})) << "where they came from";
}

TEST_F(SegmentsGateTest, EveryUnitCanBeTakenFromEveryHome) {
  for (int home = 0; home < memory.segments; ++home) {
    const std::string sku = "all" + std::to_string(home);
    Load(sku, 7);
    EXPECT_EQ(Take(OrderAt(home), {{sku, 8}}).kind, Kind::kRefused);
    EXPECT_EQ(Segments(sku), (Units{2, 2, 2, 1})) << "what was gathered is back";
    EXPECT_FALSE(memory.sold_out.Has(Name(sku), async::SteadyNow()));
    for (int i = 0; i < memory.segments; ++i) EXPECT_FALSE(Marked(sku, i, OrderAt(home)));
    EXPECT_EQ(Take(OrderAt(home), {{sku, 7}}).kind, Kind::kTaken);
    EXPECT_EQ(Stock(sku), 0);
    const async::SteadyTime asked = async::SteadyNow();  // a flag is short
    EXPECT_EQ(Take("late", {{sku, 1}}).kind, Kind::kRefused);
    EXPECT_TRUE(memory.sold_out.Has(Name(sku), asked));
    EXPECT_EQ(Take(OrderAt(home), {{sku, 7}}).kind, Kind::kTaken) << "the winner asks again, past the flag";
  }
}

TEST_F(SegmentsGateTest, AnotherLinesRefusalUndoesWhatWasGathered) {
  Load("a", 4);
  Load("b", 1);
  EXPECT_EQ(Take("o1", {{"a", 4}, {"b", 2}}).sku, Name("b"));
  EXPECT_EQ(Segments("a"), (Units{1, 1, 1, 1}));
  EXPECT_EQ(Segments("b"), (Units{1, 0, 0, 0}));
  EXPECT_EQ(Take("o1", {{"a", 4}, {"none", 1}}).missing, std::vector<std::string>{Name("none")});
  EXPECT_EQ(Segments("a"), (Units{1, 1, 1, 1}));
}

TEST_F(SegmentsGateTest, ACallThatWasCutOffCountsWhatItHadGathered) {
  Load("cut", 4);
  const std::string order = OrderAt(0);
  // As if the process had died after it took from segment 1.
  ASSERT_TRUE(admin.Run({"DECR", Key("stock", "cut", 1)}).ok());
  ASSERT_TRUE(admin.Run({"SET", Key("hold", "cut", 1) + ":" + order, "1", "EX", "60"}).ok());
  EXPECT_EQ(Take(order, {{"cut", 3}}).kind, Kind::kTaken);
  EXPECT_EQ(Stock("cut"), 1);
  Give(order, "cut");
  EXPECT_EQ(Segments("cut"), (Units{1, 1, 1, 1}));
}

TEST_F(SegmentsGateTest, ALostSegmentIsLearnedFromWhatTheOthersDoNotHave) {
  Load("part", 8);
  ASSERT_TRUE(admin.Run({"DEL", Key("stock", "part", 1)}).ok());
  EXPECT_EQ(Stock("part"), std::nullopt);
  EXPECT_EQ(Take(OrderAt(1), {{"part", 1}}).kind, Kind::kMissing);
  EXPECT_EQ(Take(OrderAt(0), {{"part", 8}}).kind, Kind::kMissing) << "so many only with the lost one's";
  EXPECT_EQ(Take(OrderAt(0), {{"part", 2}}).kind, Kind::kTaken) << "the others go on";
  Load("part", 5, true);
  EXPECT_EQ(Segments("part"), (Units{0, 1, 2, 2}));
  EXPECT_EQ(Take(OrderAt(2), {{"part", 6}}).kind, Kind::kUnsure) << "parts of orders may be forgotten";
  EXPECT_EQ(Segments("part"), (Units{0, 1, 2, 2}));
}

TEST_F(SegmentsGateTest, AGateOfOneSegmentBecomesOneOfFour) {
  StockGate::Memory before;
  StockGate one(Redis(), before);
  const StockGate::Supply supply{Name("grow"), 8, false};
  ASSERT_TRUE(one.Load({&supply, 1}).ok());
  EXPECT_EQ(Take(OrderAt(3), {{"grow", 1}}).kind, Kind::kMissing);
  Load("grow", 8);
  EXPECT_EQ(Segments("grow"), (Units{8, 0, 0, 0}));
  EXPECT_EQ(Take(OrderAt(3), {{"grow", 8}}).kind, Kind::kTaken);
}

TEST_F(SegmentsGateTest, AUsersLimitCountsTheUnitsOfAllSegments) {
  Load("limit", 8);
  memory.rules.Set(Name("limit"), {.user_limit = 5});
  EXPECT_EQ(Take("o1", {{"limit", 4}}, "ann").kind, Kind::kTaken);
  EXPECT_EQ(Users("limit", "ann"), "4");
  EXPECT_EQ(Take("o2", {{"limit", 3}}, "ann").refusal, Outcome::kPurchaseLimit);
  EXPECT_EQ(Stock("limit"), 4) << "gathered, then refused at home";
  Give("o1", "limit");
  EXPECT_EQ(Users("limit", "ann"), "");
  EXPECT_EQ(Segments("limit"), (Units{2, 2, 2, 2}));
}

TEST_F(SegmentsGateTest, RestockedUnitsAreSpreadAndTheExcessComesOffTheFullest) {
  Load("move", 0);
  ASSERT_TRUE(gate.Add(Name("move"), 6).ok());
  EXPECT_EQ(Segments("move"), (Units{2, 2, 1, 1}));
  ASSERT_TRUE(gate.Add(Name("move"), -3).ok());
  EXPECT_EQ(Stock("move"), 3);
  SetSegments("move", {5, 0, 0, 1});
  const std::pair<std::string, std::int64_t> lower{Name("move"), 2};
  ASSERT_TRUE(gate.LowerTo({&lower, 1}).ok());
  EXPECT_EQ(Segments("move"), (Units{1, 0, 0, 1}));
  const StockGate::Correction stale{Name("move"), 3, 9}, fresh{Name("move"), 2, 6};
  ASSERT_TRUE(gate.Correct({&stale, 1}).ok());
  EXPECT_EQ(Stock("move"), 2);
  ASSERT_TRUE(gate.Correct({&fresh, 1}).ok());
  EXPECT_EQ(Segments("move"), (Units{2, 1, 1, 2}));
}

}  // namespace
}  // namespace flotilla::inventory
