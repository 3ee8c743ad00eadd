#include "inventory/store/hold_store.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "inventory/store/schema.h"
#include "inventory/store/sku_store.h"
#include "postgres/test_database.h"
#include "testing/eventually.h"

namespace flotilla::inventory {
namespace {

class HoldStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    const absl::Status status = postgres::Migrate(database->options(), Schema(), absl::Seconds(10));
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
    // Purchases are the lines of live reservations, and no more than the limit that stood.
    EXPECT_EQ(database->Query(R"(
        SELECT count(*) FROM purchase p LEFT JOIN reservation r ON r.order_id = p.order_id AND r.state IN (1, 2)
        WHERE r.limited_user IS DISTINCT FROM p.user_id
           OR NOT EXISTS (SELECT FROM unnest(r.skus, r.quantities) AS u(sku, units) WHERE u.sku = p.sku AND u.units = p.units))"),
              "0");
    EXPECT_EQ(database->Query("SELECT count(*) FROM (SELECT FROM purchase GROUP BY sku, user_id "
                              "HAVING sum(units) > max(user_limit)) AS broken"),
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
    Put({sku, "Name", price, currency, units});
  }
  void Put(const PutSkuCommand& command) {
    const auto put = skus.Put({&command, 1});
    ASSERT_TRUE(put.ok()) << put.status();
  }
  Sku Get(const std::string& sku) {
    const std::vector<std::string> names = {sku};
    const auto read = skus.Read(names);
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
  HoldStore store{database->options()};
  SkuStore skus{database->options()};
};

TEST_F(HoldStoreTest, AllLinesOrNoneAtFixedPrices) {
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

TEST_F(HoldStoreTest, RefusalsSayWhy) {
  Put("why-eur", 5);
  Put("why-usd", 5, "USD");
  EXPECT_EQ(Reserve(Order(Id(), {{"why-none", 1}})).outcome, Outcome::kUnknownSku);
  EXPECT_EQ(Reserve(Order(Id(), {{"why-eur", 1}, {"why-usd", 1}})).outcome, Outcome::kCurrencyMismatch);
  const std::string id = Id();
  EXPECT_EQ(Reserve(Order(id, {{"why-eur", 1}})).outcome, Outcome::kOk);
  EXPECT_EQ(Reserve(Order(id, {{"why-eur", 2}})).outcome, Outcome::kMismatch);
}

TEST_F(HoldStoreTest, ConfirmSellsOnceAndReturnTakesBackOnce) {
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

TEST_F(HoldStoreTest, TwoFirstCallsOfTheLastUnitsBuyerGetTheSameHold) {
  Put("twin", 5);
  Put({.sku = "twin-limited", .name = "Name", .price = 1, .currency = "EUR", .initial = 5, .rules = {.user_limit = 1}});
  // Both wait for the SKU's row at once; when the second gets it, the first has taken what there was.
  const auto both = [](const ReserveCommand& command) {
    pqxx::connection connection(database->options().uri);
    pqxx::work hold(connection);
    hold.exec("SELECT FROM sku WHERE sku LIKE 'twin%' FOR UPDATE");
    const auto waiting = [](const char* count) {
      return Eventually([&] {
        return database->Query(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                   " AND wait_event_type = 'Lock'") == count;
      });
    };
    std::vector<absl::StatusOr<std::vector<ReserveResult>>> results(2, absl::UnknownError("not asked"));
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&command, &result = results[static_cast<std::size_t>(i)]] {
        HoldStore instance(database->options());
        result = instance.Reserve({&command, 1});
      });
      EXPECT_TRUE(waiting(i == 0 ? "1" : "2"));
    }
    hold.commit();
    int repeated = 0;
    for (int i = 0; i < 2; ++i) {
      threads[static_cast<std::size_t>(i)].join();
      const auto& result = results[static_cast<std::size_t>(i)];
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->front().outcome, Outcome::kOk);
      repeated += result->front().repeated ? 1 : 0;
    }
    EXPECT_EQ(repeated, 1);
  };
  both(Order(Id(), {{"twin", 5}}));
  ReserveCommand limited = Order(Id(), {{"twin-limited", 1}});
  limited.user_id = "ann";
  both(limited);
  EXPECT_EQ(Get("twin").reserved, 5);
  EXPECT_EQ(Get("twin-limited").reserved, 1);
}

TEST_F(HoldStoreTest, AReleaseBeforeItsReserveLeavesATombstone) {
  Put("null", 5);
  const std::string id = Id();
  EXPECT_EQ(Release(id), Outcome::kOk);
  EXPECT_EQ(Reserve(Order(id, {{"null", 1}})).outcome, Outcome::kReleased);
  EXPECT_EQ(Confirm(id), Outcome::kReleased);
  EXPECT_EQ(Get("null").available, 5);
}

TEST_F(HoldStoreTest, HoldsRunOutOnceAndMayBeMadeAnew) {
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

TEST_F(HoldStoreTest, ABatchSeesItselfAndAnswersRepeatsAlike) {
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

TEST_F(HoldStoreTest, OrdersOfABatchAreConfirmedEachForItself) {
  Put("each-a", 10);
  Put("each-b", 10);
  const std::string held = Id(), other = Id(), sold = Id(), released = Id(), unknown = Id();
  Reserve(Order(held, {{"each-a", 1}, {"each-b", 2}}));
  Reserve(Order(other, {{"each-b", 3}}));
  Reserve(Order(sold, {{"each-a", 1}}));
  Reserve(Order(released, {{"each-a", 1}}));
  EXPECT_EQ(Confirm(sold), Outcome::kOk);
  EXPECT_EQ(Release(released), Outcome::kOk);
  const std::vector<std::string> ids = {unknown, held, sold, released, other, held};
  EXPECT_EQ(*store.Confirm(ids), (std::vector<Outcome>{Outcome::kUnknownReservation, Outcome::kOk, Outcome::kOk,
                                                       Outcome::kReleased, Outcome::kOk, Outcome::kOk}));
  EXPECT_EQ(Get("each-a").sold, 2);
  EXPECT_EQ(Get("each-a").reserved, 0);
  EXPECT_EQ(Get("each-b").sold, 5);
  EXPECT_EQ(Get("each-b").reserved, 0);
}

// The usual batch is written in one look, which must not show in what becomes of any other.
TEST_F(HoldStoreTest, ABatchThatIsNotAllNewLeavesNoUnitsOfTheHopeThatItWas) {
  Put("hope-a", 10);
  Put("hope-b", 10);
  const std::string first = Id(), second = Id();
  const auto reserve = [&](std::vector<ReserveCommand> commands) {
    const auto results = store.Reserve(commands);
    std::vector<Outcome> outcomes;
    if (results.ok()) {
      for (const ReserveResult& result : *results) outcomes.push_back(result.outcome);
    }
    return outcomes;
  };
  EXPECT_EQ(reserve({Order(first, {{"hope-a", 1}, {"hope-b", 2}}), Order(second, {{"hope-a", 3}})}),
            (std::vector<Outcome>{Outcome::kOk, Outcome::kOk}));
  EXPECT_EQ(Get("hope-a").reserved, 4);
  EXPECT_EQ(Get("hope-b").reserved, 2);
  // A repeat among them; then one that asks for too much, for what is unknown, and one that comes after refusals.
  EXPECT_EQ(reserve({Order(first, {{"hope-a", 1}, {"hope-b", 2}}), Order(Id(), {{"hope-b", 1}})}),
            (std::vector<Outcome>{Outcome::kOk, Outcome::kOk}));
  EXPECT_EQ(Get("hope-a").reserved, 4);
  EXPECT_EQ(Get("hope-b").reserved, 3);
  EXPECT_EQ(reserve({Order(Id(), {{"hope-a", 1}}), Order(Id(), {{"hope-a", 6}})}),
            (std::vector<Outcome>{Outcome::kOk, Outcome::kOutOfStock}));
  EXPECT_EQ(reserve({Order(Id(), {{"hope-none", 1}}), Order(Id(), {{"hope-a", 1}})}),
            (std::vector<Outcome>{Outcome::kUnknownSku, Outcome::kOk}));
  EXPECT_EQ(reserve({Order(Id(), {{"hope-a", 1}}), Order(Id(), {{"hope-b", 1}})}),
            (std::vector<Outcome>{Outcome::kOk, Outcome::kOk}));
  EXPECT_EQ(Get("hope-a").reserved, 7);
  EXPECT_EQ(Get("hope-a").available, 3);
  EXPECT_EQ(Get("hope-b").reserved, 4);
  // And one whose hope is tried again.
  EXPECT_EQ(reserve({Order(Id(), {{"hope-b", 1}})}), std::vector<Outcome>{Outcome::kOk});
  EXPECT_EQ(Get("hope-b").reserved, 5);
}

ReserveCommand By(const std::string& user, ReserveCommand command) {
  command.user_id = user;
  return command;
}

TEST_F(HoldStoreTest, AUserGetsNoMoreThanTheLimitUntilUnitsAreGivenBack) {
  Put({.sku = "limit", .name = "N", .price = 1, .currency = "EUR", .initial = 100, .rules = {.user_limit = 3}});
  Put("limit-free", 100);
  const std::string a = Id(), b = Id(), c = Id();
  EXPECT_EQ(Reserve(Order(Id(), {{"limit", 1}})).outcome, Outcome::kUserRequired);
  EXPECT_EQ(Reserve(By("ann", Order(a, {{"limit", 2}, {"limit-free", 50}}))).outcome, Outcome::kOk);
  const ReserveResult refused = Reserve(By("ann", Order(b, {{"limit", 2}})));
  EXPECT_EQ(refused.outcome, Outcome::kPurchaseLimit);
  EXPECT_EQ(refused.sku, "limit");
  EXPECT_EQ(refused.purchased, 2);
  EXPECT_EQ(Reserve(By("ann", Order(a, {{"limit", 2}, {"limit-free", 50}}))).outcome, Outcome::kOk) << "a repeat";
  EXPECT_EQ(Reserve(By("bob", Order(c, {{"limit", 3}}))).outcome, Outcome::kOk);
  EXPECT_EQ(Release(a), Outcome::kOk);
  EXPECT_EQ(Reserve(By("ann", Order(b, {{"limit", 3}}))).outcome, Outcome::kOk);
  EXPECT_EQ(Confirm(b), Outcome::kOk);
  EXPECT_EQ(Reserve(By("ann", Order(Id(), {{"limit", 1}}))).outcome, Outcome::kPurchaseLimit) << "bought counts";
  EXPECT_EQ(Release(b, true), Outcome::kOk);
  EXPECT_EQ(Reserve(By("ann", Order(Id(), {{"limit", 1}}, absl::Milliseconds(1)))).outcome, Outcome::kOk);
  absl::SleepFor(absl::Milliseconds(20));
  ASSERT_TRUE(store.Expire(100).ok());
  EXPECT_EQ(Reserve(By("ann", Order(Id(), {{"limit", 3}}))).outcome, Outcome::kOk) << "what expired does not count";
}

TEST_F(HoldStoreTest, ABatchCountsAUsersUnitsTogether) {
  Put({.sku = "limit-batch", .name = "N", .price = 1, .currency = "EUR", .initial = 100, .rules = {.user_limit = 2}});
  std::vector<ReserveCommand> commands;
  for (int i = 0; i < 5; ++i) commands.push_back(By(i < 4 ? "ann" : "bob", Order(Id(), {{"limit-batch", 1}})));
  const auto results = store.Reserve(commands);
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<Outcome> outcomes;
  for (const ReserveResult& result : *results) outcomes.push_back(result.outcome);
  EXPECT_EQ(outcomes, (std::vector<Outcome>{Outcome::kOk, Outcome::kOk, Outcome::kPurchaseLimit,
                                            Outcome::kPurchaseLimit, Outcome::kOk}));
}

TEST_F(HoldStoreTest, OneUserOnManyInstancesStaysWithinTheLimit) {
  Put({.sku = "limit-race", .name = "N", .price = 1, .currency = "EUR", .initial = 1000, .rules = {.user_limit = 5}});
  std::atomic<int> held = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      HoldStore mine(database->options());
      for (int i = 0; i < 10; ++i) {
        const ReserveCommand command = By("ann", Order(Id(), {{"limit-race", 1}}));
        const auto results = mine.Reserve({&command, 1});
        ASSERT_TRUE(results.ok()) << results.status();
        if (results->front().outcome == Outcome::kOk) ++held;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(held, 5);
}

TEST_F(HoldStoreTest, ASaleHasItsTimeAndItsPrice) {
  const absl::Time now = absl::Now();
  const auto put = [&](const std::string& sku, SellingRules rules) {
    Put({.sku = sku, .name = "N", .price = 100, .currency = "EUR", .initial = 10, .rules = rules});
  };
  put("sale-later", {.sale_start = now + absl::Hours(1)});
  put("sale-past", {.sale_end = now - absl::Hours(1)});
  put("sale-now", {.sale_start = now - absl::Hours(1), .sale_end = now + absl::Hours(1), .sale_price = 70});
  EXPECT_EQ(Reserve(Order(Id(), {{"sale-later", 1}})).outcome, Outcome::kSaleNotStarted);
  EXPECT_EQ(Reserve(Order(Id(), {{"sale-past", 1}})).outcome, Outcome::kSaleEnded);
  const std::string id = Id();
  EXPECT_EQ(Reserve(Order(id, {{"sale-now", 1}})).hold.lines.front().unit_price, 70);
  put("sale-now", {.sale_end = now - absl::Hours(1)});
  EXPECT_EQ(Reserve(Order(id, {{"sale-now", 1}})).outcome, Outcome::kOk) << "a repeat gets its first answer";
  EXPECT_EQ(Reserve(Order(id, {{"sale-now", 1}})).hold.lines.front().unit_price, 70);
}

TEST_F(HoldStoreTest, AHoldIsExtendedButNeverCutShort) {
  Put("extend", 5);
  const std::string id = Id();
  const auto extend = [&](absl::Duration hold) {
    const ExtendCommand command{id, hold};
    return store.Extend({&command, 1})->front();
  };
  EXPECT_EQ(extend(absl::Minutes(5)).outcome, Outcome::kUnknownReservation);
  const ReserveResult held = Reserve(Order(id, {{"extend", 1}}, absl::Minutes(1)));
  EXPECT_EQ(extend(absl::Seconds(1)).hold.expires_at, held.hold.expires_at);
  EXPECT_GT(extend(absl::Minutes(5)).hold.expires_at, held.hold.expires_at + absl::Minutes(3));
  const std::vector<ExtendCommand> both = {{id, absl::Minutes(10)}, {id, absl::Minutes(20)}};
  const auto together = store.Extend(both);
  ASSERT_TRUE(together.ok()) << together.status();
  EXPECT_GT((*together)[0].hold.expires_at, held.hold.expires_at + absl::Minutes(15));
  EXPECT_EQ(Confirm(id), Outcome::kOk);
  EXPECT_EQ(extend(absl::Minutes(30)).outcome, Outcome::kConfirmed);
  Release(id, true);
  EXPECT_EQ(extend(absl::Minutes(30)).outcome, Outcome::kReleased);
}

TEST_F(HoldStoreTest, TheSweeperLooksAtNothingThatLives) {
  Put("sweep", 1000000);
  // Live holds and sales by the thousand, as the sweeper finds them in a busy shop.
  database->Query(R"(
      INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency, expires_at)
      SELECT gen_random_uuid(), 1 + n % 2, '{sweep}', '{1}', '{1}', 'EUR', now() + interval '1 hour'
      FROM generate_series(1, 20000) AS n;
      UPDATE sku SET available = available - 20000, reserved = 10000, sold = 10000 WHERE sku = 'sweep')");
  Reserve(Order(Id(), {{"sweep", 1}}, absl::Milliseconds(1)));
  absl::SleepFor(absl::Milliseconds(20));
  database->Query("VACUUM (INDEX_CLEANUP ON) reservation");  // of what other tests' holds have left in the index
  pqxx::connection connection(database->options().uri);
  pqxx::nontransaction work(connection);
  work.exec("SET enable_seqscan = off");
  std::string plan;
  for (const auto& row : work.exec(R"(
      EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT r.order_id FROM reservation r
      WHERE r.state = 1 AND r.expires_at < now() ORDER BY r.expires_at LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED)")) {
    plan += std::string(row[0].c_str()) + "\n";
  }
  // As an index scan or a bitmap of it, with one entry either way.
  EXPECT_TRUE(plan.find("using reservation_expiry on reservation r (actual rows=1 ") != std::string::npos ||
              plan.find("on reservation_expiry (actual rows=1 ") != std::string::npos)
      << plan;
  EXPECT_EQ(plan.find("Rows Removed"), std::string::npos) << plan;
  EXPECT_EQ(store.Expire(500)->size(), 1u);
}

TEST_F(HoldStoreTest, SweepersOnManyInstancesShareTheWork) {
  Put("share", 1000);
  std::vector<ReserveCommand> commands;
  for (int i = 0; i < 500; ++i) commands.push_back(Order(Id(), {{"share", 2}}, absl::Milliseconds(1)));
  ASSERT_TRUE(store.Reserve(commands).ok());
  absl::SleepFor(absl::Milliseconds(20));
  std::atomic<int> expired = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      HoldStore mine(database->options());
      for (;;) {
        const auto batch = mine.Expire(50);
        ASSERT_TRUE(batch.ok()) << batch.status();
        if (batch->empty()) return;
        expired += static_cast<int>(batch->size());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(expired, 500);
  EXPECT_EQ(Get("share").available, 1000);
}

TEST_F(HoldStoreTest, FiftyBuyersOnManyInstancesForTwentyUnits) {
  Put("race-a", 20);
  Put("race-b", 20);
  std::atomic<int> held = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&, t] {
      HoldStore mine(database->options());
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

TEST_F(HoldStoreTest, TheSameOrderOnManyInstancesIsOneHold) {
  Put("same", 100);
  for (int round = 0; round < 20; ++round) {
    const std::string id = Id();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        HoldStore mine(database->options());
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
