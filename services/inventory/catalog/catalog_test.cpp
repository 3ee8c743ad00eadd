#include "inventory/catalog/catalog.h"

#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "gtest/gtest.h"
#include "inventory/catalog/price_cache.h"
#include "inventory/store/schema.h"
#include "postgres/test_database.h"
#include "testing/eventually.h"

namespace flotilla::inventory {
namespace {

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)).ok()); }
  void Put(const std::string& sku, SellingRules ruled = {}, std::int64_t price = 100) {
    const PutSkuCommand command{.sku = sku, .name = "N", .price = price, .currency = "EUR", .rules = ruled};
    const auto put = other_instance.Put({&command, 1});
    ASSERT_TRUE(put.ok()) << put.status();
  }
  std::vector<std::string> Unknown(Catalog& catalog, std::vector<std::string> skus) {
    return async::BlockOn(executor, catalog.Unknown(std::move(skus)));
  }
  postgres::TestDatabase database;
  SkuStore other_instance{database.options()};
  RuleBook rules;
  async::ThreadExecutor executor;
};

TEST_F(CatalogTest, AcknowledgedSkusAreNeverUnknown) {
  Put("before");
  Catalog catalog(database.options(), rules);
  ASSERT_TRUE(catalog.Load().ok());
  EXPECT_TRUE(catalog.MayExist("before"));
  for (int i = 0; i < 200; ++i) {
    const std::string name = "sku-" + std::to_string(i);
    if (catalog.MayExist(name)) continue;  // one in a hundred
    EXPECT_EQ(Unknown(catalog, {name, "before"}), std::vector<std::string>{name});
    Put(name);  // by another instance, and asked for at once
    EXPECT_TRUE(Unknown(catalog, {name}).empty()) << name;
    EXPECT_TRUE(catalog.MayExist(name)) << name;
  }
}

TEST_F(CatalogTest, GrowsBeyondItsFirstSize) {
  Catalog catalog(database.options(), rules);
  ASSERT_TRUE(catalog.Load().ok());
  database.Query(R"(INSERT INTO sku (sku, name, price_minor, currency, initial, available)
                    SELECT 'many-' || n, 'N', 1, 'EUR', 0, 0 FROM generate_series(1, 250000) AS n)");
  ASSERT_TRUE(catalog.Refresh().ok());
  int wrong = 0;
  for (int i = 1; i <= 250000; ++i) {
    ASSERT_TRUE(catalog.MayExist("many-" + std::to_string(i)));
    wrong += catalog.MayExist("none-" + std::to_string(i)) ? 1 : 0;
  }
  EXPECT_LT(wrong, 5000);
}

TEST_F(CatalogTest, FollowsTheRules) {
  Put("ruled", {.user_limit = 3});
  Catalog catalog(database.options(), rules);
  ASSERT_TRUE(catalog.Load().ok());
  EXPECT_EQ(rules.Find("ruled")->user_limit, 3);
  Put("ruled", {.user_limit = 4});
  ASSERT_TRUE(catalog.Refresh().ok());
  EXPECT_EQ(rules.Find("ruled")->user_limit, 4);
  Put("ruled", {.sale_price = 1});
  ASSERT_TRUE(catalog.Refresh().ok());
  EXPECT_FALSE(rules.Find("ruled").has_value());
}

TEST_F(CatalogTest, WithoutSqlNothingIsCalledUnknown) {
  postgres::Options nobody = database.options();
  nobody.uri = "postgresql://postgres@127.0.0.1:1/none";
  Catalog catalog(nobody, rules);
  EXPECT_FALSE(catalog.Load().ok());
  EXPECT_TRUE(Unknown(catalog, {"any"}).empty());
}

TEST_F(CatalogTest, PricesAreCachedForSecondsAndLoadedOnce) {
  Put("priced", {.sale_price = 70});
  SkuReader reader(database.options());
  PriceCache prices(reader);
  const auto get = [&] { return async::BlockOn(executor, prices.Get({"priced", "none"})); };
  std::vector<async::Task<absl::StatusOr<PriceCache::Prices>>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(prices.Get({"priced", "none"}));
  for (const auto& result : async::BlockOn(executor, async::WhenAll(std::move(tasks)))) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->at("priced")->amount, 70);
    EXPECT_FALSE(result->at("none").has_value());
  }
  Put("priced", {}, 90);
  const absl::Time changed = absl::Now();
  absl::Time last_stale = changed;
  EXPECT_TRUE(Eventually([&] {
    const absl::Time asked = absl::Now();
    const auto answer = get();
    if (answer.ok() && answer->at("priced")->amount == 70) last_stale = asked;
    return answer.ok() && answer->at("priced")->amount == 90;
  }));
  EXPECT_LE(last_stale - changed, absl::Seconds(2));
}

}  // namespace
}  // namespace flotilla::inventory
