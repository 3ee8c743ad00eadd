#include "inventory/gate/stock_gate.h"

#include <random>

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
  void Load(const std::string& sku, std::int64_t units) {
    const std::pair<std::string, std::int64_t> stock{Name(sku), units};
    ASSERT_TRUE(gate.Load({&stock, 1}).ok());
  }
  TakeResult Take(const std::string& order, std::vector<Line> lines) {
    for (Line& line : lines) line.sku = Name(line.sku);
    const ReserveCommand command{order, lines, absl::Seconds(30)};
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
  StockGate gate{Redis()};
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

}  // namespace
}  // namespace flotilla::inventory
