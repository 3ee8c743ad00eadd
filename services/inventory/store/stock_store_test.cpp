#include "inventory/store/stock_store.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "inventory/store/migrations.h"
#include "postgres/test_database.h"

namespace flotilla::inventory {
namespace {

class StockStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    const absl::Status status = postgres::Migrate(database->options(), Migrations(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() { delete database; }
  void TearDown() override {
    // I1 after every test: the counters, and the holds they come from.
    EXPECT_EQ(database->Query("SELECT count(*) FROM sku WHERE initial + adjusted <> available + reserved + sold"), "0");
    EXPECT_EQ(database->Query(R"(
        SELECT count(*) FROM sku s LEFT JOIN (
          SELECT u.sku, sum(u.quantity) FILTER (WHERE r.state = 1) AS held, sum(u.quantity) FILTER (WHERE r.state = 2) AS sold
          FROM reservation r, unnest(r.skus, r.quantities) AS u(sku, quantity) GROUP BY u.sku) h ON h.sku = s.sku
        WHERE s.reserved <> coalesce(h.held, 0) OR s.sold <> coalesce(h.sold, 0))"),
              "0");
  }
  static std::string Id() {
    static std::atomic<int> next = 0;
    return absl::StrFormat("00000000-0000-8000-8000-%012d", ++next);
  }
  static ReserveCommand Order(const std::string& id, std::vector<Line> lines, absl::Duration hold = absl::Minutes(1)) {
    return {id, std::move(lines), hold};
  }
  void Put(const std::string& sku, std::int64_t units, const std::string& currency = "EUR", std::int64_t price = 100) {
    const auto put = store.Put({sku, "Name", price, currency, units});
    ASSERT_TRUE(put.ok()) << put.status();
  }
  Sku Get(const std::string& sku) {
    const std::vector<std::string> names = {sku};
    const auto read = store.Read(names);
    EXPECT_TRUE(read.ok()) << read.status();
    return read->at(sku);
  }
  ReserveResult Reserve(const ReserveCommand& command) {
    const auto results = store.Reserve({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : ReserveResult{};
  }
  Outcome Confirm(const std::string& id) { return store.Confirm({&id, 1})->front(); }
  Outcome Release(const std::string& id, bool return_sold = false) {
    const ReleaseCommand command{id, return_sold};
    const auto results = store.Release({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front().outcome : Outcome::kMismatch;
  }
  static inline postgres::TestDatabase* database = nullptr;
  StockStore store{database->options()};
};

TEST_F(StockStoreTest, AllLinesOrNoneAtFixedPrices) {
  Put("all-a", 5, "EUR", 250);
  Put("all-b", 1);
  const std::string id = Id();
  EXPECT_EQ(Reserve(Order(id, {{"all-a", 2}, {"all-b", 2}})).outcome, Outcome::kOutOfStock);
  EXPECT_EQ(Get("all-a").available, 5);
  const ReserveResult held = Reserve(Order(id, {{"all-b", 1}, {"all-a", 2}}));
  EXPECT_EQ(held.outcome, Outcome::kOk);
  EXPECT_EQ(held.hold.lines, (std::vector<Line>{{"all-b", 1, 100}, {"all-a", 2, 250}}));
  EXPECT_EQ(held.hold.currency, "EUR");
  Put("all-a", 99, "EUR", 999);
  const ReserveResult again = Reserve(Order(id, {{"all-b", 1}, {"all-a", 2}}));
  EXPECT_EQ(again.hold.lines, held.hold.lines) << "a repeat gets the first prices";
  EXPECT_EQ(again.hold.expires_at, held.hold.expires_at);
  EXPECT_EQ(Get("all-a").available, 3);
  EXPECT_EQ(Get("all-a").reserved, 2);
}

TEST_F(StockStoreTest, RefusalsSayWhy) {
  Put("why-eur", 5);
  Put("why-usd", 5, "USD");
  EXPECT_EQ(Reserve(Order(Id(), {{"why-none", 1}})).outcome, Outcome::kUnknownSku);
  EXPECT_EQ(Reserve(Order(Id(), {{"why-eur", 1}, {"why-usd", 1}})).outcome, Outcome::kCurrencyMismatch);
  const std::string id = Id();
  EXPECT_EQ(Reserve(Order(id, {{"why-eur", 1}})).outcome, Outcome::kOk);
  EXPECT_EQ(Reserve(Order(id, {{"why-eur", 2}})).outcome, Outcome::kMismatch);
}

TEST_F(StockStoreTest, ConfirmSellsOnceAndReturnTakesBackOnce) {
  Put("sell", 5);
  const std::string id = Id();
  EXPECT_EQ(Confirm(id), Outcome::kUnknownReservation);
  Reserve(Order(id, {{"sell", 3}}));
  EXPECT_EQ(Confirm(id), Outcome::kOk);
  EXPECT_EQ(Confirm(id), Outcome::kOk);
  EXPECT_EQ(Get("sell").sold, 3);
  EXPECT_EQ(Reserve(Order(id, {{"sell", 3}})).outcome, Outcome::kOk) << "a late repeat gets its first answer";
  EXPECT_EQ(Release(id), Outcome::kConfirmed);
  EXPECT_EQ(Release(id, true), Outcome::kOk);
  EXPECT_EQ(Release(id, true), Outcome::kOk);
  EXPECT_EQ(Get("sell").available, 5);
  EXPECT_EQ(Get("sell").sold, 0);
}

TEST_F(StockStoreTest, AReleaseBeforeItsReserveLeavesATombstone) {
  Put("null", 5);
  const std::string id = Id();
  EXPECT_EQ(Release(id), Outcome::kOk);
  EXPECT_EQ(Reserve(Order(id, {{"null", 1}})).outcome, Outcome::kReleased);
  EXPECT_EQ(Confirm(id), Outcome::kReleased);
  EXPECT_EQ(Get("null").available, 5);
}

TEST_F(StockStoreTest, HoldsRunOutOnceAndMayBeMadeAnew) {
  Put("run-out", 2);
  const std::string id = Id();
  Reserve(Order(id, {{"run-out", 2}}, absl::Milliseconds(50)));
  absl::SleepFor(absl::Milliseconds(100));
  const auto expired = store.Expire(100);
  ASSERT_TRUE(expired.ok()) << expired.status();
  ASSERT_EQ(expired->size(), 1u);
  EXPECT_EQ(expired->front().order_id, id);
  EXPECT_TRUE(store.Expire(100)->empty());
  EXPECT_EQ(Get("run-out").available, 2);
  EXPECT_EQ(Confirm(id), Outcome::kExpired);
  EXPECT_EQ(Reserve(Order(id, {{"run-out", 1}})).outcome, Outcome::kOk);
  EXPECT_EQ(Confirm(id), Outcome::kOk);
  EXPECT_EQ(Get("run-out").available, 1);
  EXPECT_EQ(Get("run-out").sold, 1);
}

TEST_F(StockStoreTest, ABatchSeesItselfAndAnswersRepeatsAlike) {
  Put("batch", 3);
  const std::string a = Id(), b = Id(), c = Id();
  const std::vector<ReserveCommand> commands = {Order(a, {{"batch", 2}}), Order(b, {{"batch", 2}}),
                                                Order(c, {{"batch", 1}}), Order(a, {{"batch", 2}}),
                                                Order(a, {{"batch", 1}})};
  const auto results = store.Reserve(commands);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].outcome, Outcome::kOk);
  EXPECT_EQ((*results)[1].outcome, Outcome::kOutOfStock);
  EXPECT_EQ((*results)[2].outcome, Outcome::kOk);
  EXPECT_EQ((*results)[3].outcome, Outcome::kOk);
  EXPECT_EQ((*results)[4].outcome, Outcome::kMismatch);
  EXPECT_EQ(Get("batch").reserved, 3);
  const std::vector<std::string> ids = {a, c, a};
  EXPECT_EQ(*store.Confirm(ids), (std::vector<Outcome>{Outcome::kOk, Outcome::kOk, Outcome::kOk}));
  EXPECT_EQ(Get("batch").sold, 3);
}

TEST_F(StockStoreTest, AdjustmentsCountOnce) {
  Put("adjust", 5);
  EXPECT_EQ(store.Adjust({"adj-1", "adjust", 10, "delivery"})->sku.available, 15);
  EXPECT_EQ(store.Adjust({"adj-1", "adjust", 10, "delivery"})->outcome, AdjustOutcome::kRepeated);
  EXPECT_EQ(store.Adjust({"adj-1", "adjust", 11, "delivery"})->outcome, AdjustOutcome::kIdReused);
  EXPECT_EQ(store.Adjust({"adj-2", "adjust", -16, ""})->outcome, AdjustOutcome::kOutOfStock);
  EXPECT_EQ(store.Adjust({"adj-2", "adjust", -15, ""})->outcome, AdjustOutcome::kDone) << "the refusal left no trace";
  EXPECT_EQ(store.Adjust({"adj-3", "adjust-none", 1, ""})->outcome, AdjustOutcome::kUnknownSku);
  EXPECT_EQ(Get("adjust").available, 0);
}

TEST_F(StockStoreTest, FiftyBuyersOnManyInstancesForTwentyUnits) {
  Put("race-a", 20);
  Put("race-b", 20);
  std::atomic<int> held = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&, t] {
      StockStore mine(database->options());
      for (int i = 0; i < 5; ++i) {
        // Lines in both orders: batches that meet must not deadlock.
        std::vector<Line> lines = {{"race-a", 1}, {"race-b", 1}};
        if (t % 2 == 0) std::swap(lines[0], lines[1]);
        const std::vector<ReserveCommand> batch = {Order(Id(), lines), Order(Id(), lines)};
        const auto results = mine.Reserve(batch);
        ASSERT_TRUE(results.ok()) << results.status();
        for (std::size_t n = 0; n < batch.size(); ++n) {
          if ((*results)[n].outcome != Outcome::kOk) {
            ++refused;
            continue;
          }
          ++held;
          if (i % 2 == 0) {
            EXPECT_EQ(mine.Confirm({&batch[n].order_id, 1})->front(), Outcome::kOk);
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(held, 20);
  EXPECT_EQ(refused, 80);
  EXPECT_EQ(Get("race-a").available, 0);
}

TEST_F(StockStoreTest, TheSameOrderOnManyInstancesIsOneHold) {
  Put("same", 100);
  for (int round = 0; round < 20; ++round) {
    const std::string id = Id();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        StockStore mine(database->options());
        const ReserveCommand command = Order(id, {{"same", 1}});
        const auto results = mine.Reserve({&command, 1});
        ASSERT_TRUE(results.ok()) << results.status();
        EXPECT_EQ(results->front().outcome, Outcome::kOk);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(Get("same").reserved, 20);
}

}  // namespace
}  // namespace flotilla::inventory
