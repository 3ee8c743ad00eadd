// SKUs, movements and low stock.
#include "inventory/store/sku_store.h"

#include "absl/time/clock.h"
#include "flotilla/inventory/v1/inventory_event.pb.h"
#include "gtest/gtest.h"
#include "inventory/store/hold_store.h"
#include "inventory/store/movement_store.h"
#include "inventory/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::inventory {
namespace {

class SkuStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const absl::Status status = postgres::Migrate(database.options(), Schema(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override {
    EXPECT_EQ(database.Query(R"(
        SELECT count(*) FROM sku s LEFT JOIN (SELECT sku, sum(delta) AS units FROM stock_movement GROUP BY sku) m USING (sku)
        WHERE coalesce(m.units, 0) <> available + reserved + sold OR initial + adjusted <> available + reserved + sold)"),
              "0");
  }
  static PutSkuCommand Command(const std::string& sku, std::int64_t units = 0, std::int64_t threshold = 0) {
    return {
        .sku = sku, .name = "N", .price = 100, .currency = "EUR", .initial = units, .low_stock_threshold = threshold};
  }
  PutSkuResult Put(const PutSkuCommand& command) {
    const auto results = skus.Put({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->at(command.sku) : PutSkuResult{};
  }
  std::string Names(const SkuQuery& query) {
    std::string names;
    const auto list = skus.List(query);
    EXPECT_TRUE(list.ok()) << list.status();
    for (const Sku& sku : *list) names += sku.sku + " ";
    return names;
  }
  std::string LowEvents(const std::string& sku) {
    std::string out;
    pqxx::connection connection(database.options().uri);
    pqxx::nontransaction work(connection);
    for (const auto& row :
         work.exec_params("SELECT sequence, type, data FROM event WHERE stream_id = $1 ORDER BY 1", sku)) {
      v1::StockLowEvent event;
      EXPECT_TRUE(event.ParseFromString(postgres::FromBytes(row[2].c_str())));
      EXPECT_EQ(event.sku(), sku);
      out += std::string(row[0].c_str()) + row[1].c_str() + ":" + std::to_string(event.available()) + "/" +
             std::to_string(event.threshold()) + " ";
    }
    return out;
  }

  postgres::TestDatabase database;
  SkuStore skus{database.options()};
  HoldStore holds{database.options()};
  MovementStore movements{database.options()};
};

TEST_F(SkuStoreTest, PutCreatesOnceAndThenReplacesAllButTheQuantity) {
  EXPECT_TRUE(Put(Command("a", 5)).created);
  PutSkuCommand again = Command("a", 99, 3);
  again.name = "Other";
  again.rules = {.user_limit = 2, .sale_start = absl::FromUnixSeconds(5), .sale_price = 7};
  const PutSkuResult result = Put(again);
  EXPECT_FALSE(result.created);
  EXPECT_EQ(result.sku.available, 5);
  EXPECT_EQ(result.sku.name, "Other");
  EXPECT_EQ(result.sku.rules, again.rules);
  EXPECT_EQ(result.sku.low_stock_threshold, 3);
  EXPECT_EQ(skus.Read(std::vector<std::string>{"a"})->at("a"), result.sku);
  EXPECT_EQ(Put(Command("a")).sku.rules, SellingRules{});
}

TEST_F(SkuStoreTest, ListsPageByPrefixAndLowStock) {
  std::vector<PutSkuCommand> commands;
  for (const char* name : {"b-2", "b-10", "B-1", "a", "b", "b-1", "c", "b.1"}) commands.push_back(Command(name, 5));
  commands.back().low_stock_threshold = 5;
  commands[0].low_stock_threshold = 4;
  ASSERT_TRUE(skus.Put(commands).ok());
  EXPECT_EQ(Names({}), "B-1 a b b-1 b-10 b-2 b.1 c ");
  EXPECT_EQ(Names({.limit = 2}), "B-1 a ");
  EXPECT_EQ(Names({.after = "a", .limit = 3}), "b b-1 b-10 ");
  EXPECT_EQ(Names({.prefix = "b-"}), "b-1 b-10 b-2 ");
  EXPECT_EQ(Names({.after = "b-1", .limit = 1, .prefix = "b"}), "b-10 ");
  EXPECT_EQ(Names({.prefix = "zz"}), "");
  EXPECT_EQ(Names({.low_stock = true}), "b.1 ");
  EXPECT_EQ(Names({.prefix = "b-", .low_stock = true}), "");
}

TEST_F(SkuStoreTest, MovementsCountOnceAndAddUp) {
  Put(Command("m", 5));
  const auto adjust = [&](const std::string& reference, std::int64_t delta, const std::string& sku = "m") {
    return movements.Adjust({sku, reference, delta, MovementReason::kReceipt, "note"})->outcome;
  };
  EXPECT_EQ(adjust("r-1", 10), AdjustOutcome::kDone);
  EXPECT_EQ(adjust("r-1", 10), AdjustOutcome::kRepeated);
  EXPECT_EQ(adjust("r-1", 11), AdjustOutcome::kReferenceReused);
  EXPECT_EQ(adjust("r-2", -16), AdjustOutcome::kOutOfStock);
  EXPECT_EQ(adjust("r-2", -15), AdjustOutcome::kDone) << "the refusal left no trace";
  EXPECT_EQ(adjust("r-3", 1, "nosuch"), AdjustOutcome::kUnknownSku);
  Put(Command("other"));
  EXPECT_EQ(adjust("r-1", 3, "other"), AdjustOutcome::kDone) << "a delivery note has many SKUs";
  const auto list = movements.List({.sku = "m"});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].reason, MovementReason::kInitial);
  EXPECT_EQ((*list)[0].delta, 5);
  EXPECT_EQ((*list)[2].reference, "r-2");
  EXPECT_EQ(movements.List({.sku = "m", .after = (*list)[0].id, .limit = 1})->front().reference, "r-1");
  EXPECT_THROW(database.Query("UPDATE stock_movement SET delta = 1"), pqxx::sql_error) << "append-only";
  EXPECT_THROW(database.Query("DELETE FROM stock_movement"), pqxx::sql_error);
}

TEST_F(SkuStoreTest, EachFallToTheThresholdIsAnEvent) {
  Put(Command("low", 10, 5));
  Put(Command("calm", 10));
  const std::string id = "00000000-0000-8000-8000-000000000001", other = "00000000-0000-8000-8000-000000000002";
  const auto reserve = [&](const std::string& order, std::int64_t units) {
    const ReserveCommand command{order, {{"low", units}, {"calm", units}}, absl::Minutes(1)};
    ASSERT_EQ(holds.Reserve({&command, 1})->front().outcome, Outcome::kOk);
  };
  reserve(id, 4);
  EXPECT_EQ(LowEvents("low"), "");
  reserve(other, 2);
  EXPECT_EQ(LowEvents("low"), "1stock.low:4/5 ");
  const ReleaseCommand release{other};
  ASSERT_TRUE(holds.Release({&release, 1}).ok());
  ASSERT_TRUE(movements.Adjust({"low", "loss", -6, MovementReason::kLoss})->outcome == AdjustOutcome::kDone);
  EXPECT_EQ(LowEvents("low"), "1stock.low:4/5 2stock.low:0/5 ");
  EXPECT_EQ(LowEvents("calm"), "");
}

TEST_F(SkuStoreTest, FollowersMissNothingThatCommitsLate) {
  Put(Command("early"));
  const auto names = [](const std::vector<Listing>& listings) {
    std::string out;
    for (const Listing& listing : listings) out += listing.sku + " ";
    return out;
  };
  std::string mark = *skus.Mark();
  // A transaction that began before the next look and commits after it.
  pqxx::connection connection(database.options().uri);
  auto late = std::make_unique<pqxx::work>(connection);
  late->exec(
      "INSERT INTO sku (sku, name, price_minor, currency, initial, available) VALUES ('late', 'N', 1, 'EUR', 0, 0)");
  Put(Command("quick"));
  auto changes = skus.ChangedSince(mark);
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_NE(names(changes->listings).find("quick "), std::string::npos) << names(changes->listings);
  EXPECT_EQ(names(changes->listings).find("late "), std::string::npos);
  late->commit();
  changes = skus.ChangedSince(changes->mark);
  EXPECT_NE(names(changes->listings).find("late "), std::string::npos) << names(changes->listings);
  // And then there is nothing to read, once the other transactions of this server have ended.
  for (int i = 0; i < 500 && !changes->listings.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
    changes = skus.ChangedSince(changes->mark);
  }
  EXPECT_EQ(names(changes->listings), "");
  EXPECT_EQ(*skus.Names("", 2), (std::vector<std::string>{"early", "late"}));
  EXPECT_EQ(*skus.Names("late", 2), (std::vector<std::string>{"quick"}));
  EXPECT_TRUE(skus.Names("quick", 2)->empty());
  PutSkuCommand ruled = Command("quick");
  ruled.rules.user_limit = 2;
  Put(ruled);
  EXPECT_EQ(skus.Restricted()->front().rules.user_limit, 2);
}

}  // namespace
}  // namespace flotilla::inventory
