#include "inventory/gate/stock_gate.h"

#include <random>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "testing/environment.h"

namespace flotilla::inventory {
namespace {

class StockGateTest : public testing::Test {
 protected:
  static redis::Options Redis() {
    const TestAddress address = TestRedis();
    redis::Options options;
    options.host = address.host;
    options.port = address.port;
    return options;
  }
  std::string Name(const std::string& sku) const { return prefix + sku; }
  void Load(const std::string& sku, std::int64_t units) { Load(sku, units, false); }
  void Load(const std::string& sku, std::int64_t units, bool has_orders) {
    const StockGate::Supply supply{Name(sku), units, has_orders};
    ASSERT_TRUE(gate.Load({&supply, 1}).ok());
  }
  TakeResult Take(const std::string& order, std::vector<Line> lines, const std::string& user = "") {
    for (Line& line : lines) line.sku = Name(line.sku);
    const ReserveCommand command{order, lines, absl::Seconds(30), user};
    const auto results = gate.Take({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : TakeResult{};
  }
  void Give(const std::string& order, const std::string& sku) {
    const Returned returned{order, {Name(sku)}};
    ASSERT_TRUE(gate.Give({&returned, 1}).ok());
  }
  std::optional<std::int64_t> Stock(const std::string& sku) {
    const std::string name = Name(sku);
    return gate.Read({&name, 1})->front();
  }
  const std::string prefix = "gate-" + std::to_string(std::random_device{}()) + "-";
  void Forget(const std::string& key) { ASSERT_TRUE(admin.Run({"DEL", key}).ok()); }
  std::string Users(const std::string& sku, const std::string& user) {
    return admin.Run({"HGET", "flotilla:users:{" + Name(sku) + "}", user})->string();
  }
  StockGate::Memory memory;
  StockGate gate{Redis(), memory};
  redis::Client admin{Redis()};
};

using Kind = TakeResult::Kind;

TEST_F(StockGateTest, TakesGivesAndKnowsItsOrders) {
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

TEST_F(StockGateTest, AllLinesOrNone) {
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

TEST_F(StockGateTest, LostScriptsAndKeysDoNoHarm) {
  Load("a", 5);
  ASSERT_TRUE(admin.Run({"SCRIPT", "FLUSH"}).ok());
  EXPECT_EQ(Take("o1", {{"a", 1}}).kind, Kind::kTaken);
  ASSERT_TRUE(admin.Run({"DEL", "flotilla:stock:{" + Name("a") + "}"}).ok());
  Give("o1", "a");
  EXPECT_EQ(Stock("a"), std::nullopt) << "it must learn from SQL, not from a return";
  EXPECT_EQ(Take("o2", {{"a", 1}}).kind, Kind::kMissing);
}

TEST_F(StockGateTest, CorrectionsDoNotOverrideWhatMoves) {
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

TEST_F(StockGateTest, ASoldOutFlagSparesTheStockButNotTheWinnersRepeat) {
  Load("hot", 1);
  EXPECT_EQ(Take("winner", {{"hot", 1}}).kind, Kind::kTaken);
  EXPECT_EQ(Take("o2", {{"hot", 2}}).kind, Kind::kRefused);
  EXPECT_TRUE(memory.sold_out.Has(Name("hot"), absl::Now()));
  // Stock that came back behind this process's back is not seen while the flag stands; the flag answers.
  ASSERT_TRUE(admin.Run({"SET", "flotilla:stock:{" + Name("hot") + "}", "5"}).ok());
  memory.sold_out.Set(Name("hot"), absl::Now() + absl::Seconds(10), memory.sold_out.clears());
  EXPECT_EQ(Take("o3", {{"hot", 1}}).kind, Kind::kRefused);
  EXPECT_EQ(Take("winner", {{"hot", 1}}).kind, Kind::kTaken) << "its mark counts before the flag";
  EXPECT_EQ(Stock("hot"), 5);
  Give("winner", "hot");
  EXPECT_FALSE(memory.sold_out.Has(Name("hot"), absl::Now())) << "stock came back through this process";
  EXPECT_EQ(Take("o3", {{"hot", 1}}).kind, Kind::kTaken);
}

TEST_F(StockGateTest, AFlagFallsByItselfAndAnOvertakenAnswerRaisesNone) {
  SoldOut flags;
  const absl::Time now = absl::Now();
  flags.Set("a", now, flags.clears());
  EXPECT_TRUE(flags.Has("a", now + absl::Milliseconds(70)));
  EXPECT_FALSE(flags.Has("a", now + absl::Milliseconds(130)));
  const std::uint64_t before = flags.clears();
  flags.Clear("b");
  flags.Set("b", now, before);
  EXPECT_FALSE(flags.Has("b", now));
}

TEST_F(StockGateTest, TooFewUnitsForOneOrderAreNotSoldOut) {
  Load("few", 2);
  EXPECT_EQ(Take("o1", {{"few", 3}}).kind, Kind::kRefused);
  EXPECT_FALSE(memory.sold_out.Has(Name("few"), absl::Now()));
  EXPECT_EQ(Take("o2", {{"few", 2}}).kind, Kind::kTaken);
}

TEST_F(StockGateTest, AGateThatMayHaveForgottenAnOrderRefusesNothingForSure) {
  Load("old", 0, true);
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kUnsure);
  Load("a", 5);
  EXPECT_EQ(Take("o2", {{"a", 1}, {"old", 1}}).kind, Kind::kUnsure);
  EXPECT_EQ(Stock("a"), 5) << "what was taken of the other line is back";
  // The same where a flag or a sale's end would refuse.
  memory.sold_out.Set(Name("old"), absl::Now(), memory.sold_out.clears());
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kUnsure);
  Forget("flotilla:young:{" + Name("old") + "}");
  EXPECT_EQ(Take("o1", {{"old", 1}}).kind, Kind::kRefused);
}

TEST_F(StockGateTest, LimitsAUserAndForgetsReturnedUnits) {
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
  EXPECT_GT(admin.Run({"TTL", "flotilla:users:{" + Name("limit") + "}"})->integer(), 0) << "what drifts must end";
}

TEST_F(StockGateTest, RefusesOutsideTheSaleButForRepeats) {
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

TEST_F(StockGateTest, AnExtendedHoldKeepsItsMark) {
  Load("extend", 1);
  Take("o1", {{"extend", 1}});
  const Line line{Name("extend"), 1};
  ASSERT_TRUE(gate.Extend("o1", {&line, 1}, absl::Minutes(30)).ok());
  EXPECT_GT(admin.Run({"TTL", "flotilla:hold:{" + Name("extend") + "}:o1"})->integer(), 1700);
}

}  // namespace
}  // namespace flotilla::inventory
