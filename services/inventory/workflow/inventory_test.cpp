#include "inventory/workflow/inventory.h"

#include <atomic>
#include <random>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "gtest/gtest.h"
#include "inventory/store/hold_store.h"
#include "inventory/store/schema.h"
#include "inventory/workflow/keeper.h"
#include "inventory/workflow/test_instance.h"
#include "postgres/test_database.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::inventory {
namespace {

class InventoryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    ASSERT_TRUE(postgres::Migrate(database->options(), Schema(), absl::Seconds(10)).ok());
    const TestAddress address = TestRedis();
    redis_options.host = address.host;
    redis_options.port = address.port;
    redis_options.connect_timeout = redis_options.command_timeout = absl::Seconds(10);
  }
  static void TearDownTestSuite() { delete database; }
  std::string Name(const std::string& sku) const { return prefix + sku; }
  void Put(Instance& inventory, const std::string& sku, std::int64_t units, SellingRules rules = {}) {
    std::vector<PutSkuCommand> commands = {
        {.sku = Name(sku), .name = "Name", .price = 100, .currency = "EUR", .initial = units, .rules = rules}};
    const auto put = async::BlockOn(executor, inventory.keeping.Put(std::move(commands)));
    ASSERT_TRUE(put.ok()) << put.status();
  }
  Sku Get(Instance& inventory, const std::string& sku) {
    const auto read = async::BlockOn(executor, inventory.reader.Read({Name(sku)}));
    return (*read)->at(Name(sku));
  }
  static std::string Id() {
    static std::atomic<int> next = 0;
    return absl::StrFormat("%08x-0000-8000-8000-%012d", std::random_device{}(), ++next);
  }
  absl::StatusOr<ReserveResult> Reserve(Instance& inventory, const std::string& id, const std::string& sku,
                                        std::int64_t units = 1, absl::Duration hold = absl::Minutes(1),
                                        const std::string& user = "") {
    std::vector<ReserveCommand> commands = {{id, {{Name(sku), units}}, hold, user}};
    return async::BlockOn(executor, inventory.holds.Reserve(std::move(commands))).front();
  }
  Outcome OutcomeOf(const absl::StatusOr<ReserveResult>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->outcome : Outcome::kMismatch;
  }
  void Release(Instance& inventory, const std::string& id) {
    std::vector<ReleaseCommand> commands = {{id, true}};
    ASSERT_TRUE(async::BlockOn(executor, inventory.holds.Release(std::move(commands))).ok());
  }
  // A thousand orders at once; how many got their units.
  int HoldersOf(Instance& one, Instance& two, const std::string& sku, std::int64_t units) {
    std::vector<async::Task<std::vector<absl::StatusOr<ReserveResult>>>> tasks;
    for (int i = 0; i < 1000; ++i) {
      std::vector<ReserveCommand> commands = {{Id(), {{Name(sku), units}}, absl::Minutes(1)}};
      tasks.push_back((i % 2 == 0 ? one : two).holds.Reserve(std::move(commands)));
    }
    int held = 0;
    for (const auto& result : async::BlockOn(executor, async::WhenAll(std::move(tasks)))) {
      held += OutcomeOf(result.front()) == Outcome::kOk ? 1 : 0;
    }
    return held;
  }
  std::string GateKey(const std::string& sku) const { return "flotilla:stock:{" + Name(sku) + "}"; }
  std::string Gate(const std::string& sku) { return redis::Client(redis_options).Run({"GET", GateKey(sku)})->string(); }
  void SetGate(const std::string& sku, const std::string& units) {
    ASSERT_TRUE(redis::Client(redis_options).Run({"SET", GateKey(sku), units}).ok());
  }
  static inline postgres::TestDatabase* database = nullptr;
  static inline redis::Options redis_options;
  const std::string prefix = "inventory-" + std::to_string(std::random_device{}()) + "-";
  async::ThreadExecutor executor;
};

TEST_F(InventoryTest, TheGateLearnsAndSellsOut) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "learn", 2);
  const std::string last = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "learn")), Outcome::kOk);
  EXPECT_EQ(Gate("learn"), "1");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, last, "learn")), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "learn")), Outcome::kOutOfStock);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, last, "learn")), Outcome::kOk) << "the winner of the last unit asks again";
  Release(inventory, last);
  EXPECT_EQ(Gate("learn"), "1");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "learn")), Outcome::kOk);
  EXPECT_EQ(Get(inventory, "learn").reserved, 2);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "nosuch")), Outcome::kUnknownSku);
}

TEST_F(InventoryTest, AnotherBodyUnderAUsedIdGivesBackWhatItTook) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "used-a", 5);
  Put(inventory, "used-b", 5);
  const std::string id = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "used-a", 2)), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "used-b", 5)), Outcome::kMismatch);
  EXPECT_TRUE(Eventually([&] { return Gate("used-b") == "5"; })) << Gate("used-b");
  EXPECT_EQ(Gate("used-a"), "3") << "the first body keeps its units";
}

TEST_F(InventoryTest, ARepeatWhoseMarkRanOutTakesNothing) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "late", 5);
  const std::string id = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "late", 2)), Outcome::kOk);
  ASSERT_TRUE(redis::Client(redis_options).Run({"DEL", "flotilla:hold:{" + Name("late") + "}:" + id}).ok());
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "late", 2)), Outcome::kOk);
  EXPECT_TRUE(Eventually([&] { return Gate("late") == "3"; })) << Gate("late");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "late", 3)), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "late", 2)), Outcome::kOk) << "it has a mark again";
}

TEST_F(InventoryTest, AHoldThatReplacesAnExpiredOneKeepsItsAnswerWhenTheOldMarkIsGivenBackLate) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "renewed", 2);
  const std::string id = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "renewed", 1, absl::Milliseconds(1))), Outcome::kOk);
  // The sweeper has ended the hold in SQL and comes to the gate only after the order's next call.
  HoldStore sweeper(database->options());
  std::vector<Returned> late;
  ASSERT_TRUE(Eventually([&] {
    const auto expired = sweeper.Expire(10);
    if (expired.ok()) late.insert(late.end(), expired->begin(), expired->end());
    return !late.empty();
  }));
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "renewed")), Outcome::kOk);
  StockGate gate(redis_options, inventory.gate.memory());
  ASSERT_TRUE(gate.Give(late).ok());
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "renewed")), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "renewed")), Outcome::kOutOfStock);
  EXPECT_TRUE(Eventually([&] { return Gate("renewed") == "0"; })) << Gate("renewed");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "renewed")), Outcome::kOk) << "it holds a unit";
}

TEST_F(InventoryTest, AHoldThatTheGateDidNotHearOfKeepsItsAnswer) {
  redis::Options nobody;
  nobody.port = 1;
  Instance inventory(database->options(), redis_options), deaf(database->options(), nobody);
  Put(inventory, "unheard", 2);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "unheard")), Outcome::kOk);
  const std::string id = Id();
  EXPECT_EQ(OutcomeOf(Reserve(deaf, id, "unheard")), Outcome::kOk);
  EXPECT_EQ(Gate("unheard"), "1") << "it promises a unit that is gone";
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "unheard")), Outcome::kOutOfStock);
  EXPECT_TRUE(Eventually([&] { return Gate("unheard") == "0"; })) << Gate("unheard");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "unheard")), Outcome::kOk) << "it holds a unit";
}

TEST_F(InventoryTest, LoweringAGateDoesNotProlongItsDoubt) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "doubt", 1);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "doubt")), Outcome::kOk);
  redis::Client admin(redis_options);
  const std::string young = "flotilla:young:{" + Name("doubt") + "}";
  ASSERT_TRUE(admin.Run({"SET", young, "1", "EX", "100"}).ok());
  SetGate("doubt", "1");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "doubt")), Outcome::kOutOfStock);
  EXPECT_TRUE(Eventually([&] { return Gate("doubt") == "0"; })) << Gate("doubt");
  EXPECT_LE(admin.Run({"TTL", young})->integer(), 100);
}

TEST_F(InventoryTest, ARepeatedReleaseTellsTheGateWhatTheFirstCouldNot) {
  redis::Options nobody;
  nobody.port = 1;
  Instance inventory(database->options(), redis_options), deaf(database->options(), nobody);
  Put(inventory, "again", 1);
  const std::string id = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, id, "again")), Outcome::kOk);
  Release(deaf, id);
  EXPECT_EQ(Gate("again"), "0");
  Release(inventory, id);
  EXPECT_EQ(Gate("again"), "1");
  Release(inventory, id);
  EXPECT_EQ(Gate("again"), "1") << "once";
}

TEST_F(InventoryTest, SuspectsOutlastAGateThatDoesNotAnswer) {
  redis::Options nobody;
  nobody.port = 1;
  Instance inventory(database->options(), redis_options);
  Put(inventory, "suspect", 5);
  int turns = 0;
  {
    Keeper keeper(database->options(), nobody, inventory.catalog, inventory.gate, {.period = absl::Milliseconds(1)});
    inventory.gate.Suspect({Name("suspect")});
    EXPECT_TRUE(Eventually([&] { return inventory.gate.TakeSuspects(0).empty() && ++turns > 20; }));
  }
  EXPECT_TRUE(inventory.gate.TakeSuspects(10).contains(Name("suspect")));
}

TEST_F(InventoryTest, WithoutRedisSqlDecides) {
  redis::Options nobody;
  nobody.port = 1;
  Instance inventory(database->options(), nobody);
  Put(inventory, "alone", 1);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "alone")), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "alone")), Outcome::kOutOfStock);
}

TEST_F(InventoryTest, AGateThatPromisesTooMuchIsLoweredAtTheFirstRefusal) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "high", 1);
  SetGate("high", "1000");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "high")), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "high")), Outcome::kOutOfStock);
  EXPECT_TRUE(Eventually([&] { return Gate("high") == "0"; })) << Gate("high");
  EXPECT_EQ(Get(inventory, "high").available, 0);
}

TEST_F(InventoryTest, TheKeeperRaisesAGateThatLostUnitsAndReturnsExpiredHolds) {
  Instance inventory(database->options(), redis_options);
  Keeper keeper(database->options(), redis_options, inventory.catalog, inventory.gate,
                {.period = absl::Milliseconds(50)});
  Put(inventory, "low", 5);
  SetGate("low", "0");  // an add-back that a crash swallowed
  EXPECT_TRUE(Eventually([&] { return Gate("low") == "5"; })) << Gate("low");
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "low", 5, absl::Seconds(1))), Outcome::kOk);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "low")), Outcome::kOutOfStock);
  EXPECT_TRUE(Eventually([&] { return Get(inventory, "low").available == 5; }));
  EXPECT_TRUE(Eventually([&] { return Gate("low") == "5"; })) << Gate("low");
}

TEST_F(InventoryTest, ASkuThatAnotherInstanceHasJustMadeIsSoldAtOnce) {
  Instance one(database->options(), redis_options), two(database->options(), redis_options);
  EXPECT_EQ(OutcomeOf(Reserve(two, Id(), "fresh")), Outcome::kUnknownSku);
  Put(one, "fresh", 1);
  EXPECT_EQ(OutcomeOf(Reserve(two, Id(), "fresh")), Outcome::kOk);
}

TEST_F(InventoryTest, TheGateLearnsAUsersLimitFromSql) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "limit", 100, {.user_limit = 2});
  ASSERT_TRUE(inventory.catalog.Refresh().ok());
  const auto reserve = [&] { return OutcomeOf(Reserve(inventory, Id(), "limit", 1, absl::Minutes(1), "ann")); };
  const std::string users = "flotilla:users:{" + Name("limit") + "}";
  redis::Client admin(redis_options);
  EXPECT_EQ(reserve(), Outcome::kOk);
  EXPECT_EQ(reserve(), Outcome::kOk);
  EXPECT_EQ(reserve(), Outcome::kPurchaseLimit);
  ASSERT_TRUE(admin.Run({"DEL", users}).ok());
  EXPECT_EQ(reserve(), Outcome::kPurchaseLimit) << "a gate that forgot lets through, SQL does not";
  EXPECT_TRUE(Eventually([&] { return admin.Run({"HGET", users, "ann"})->string() == "2"; }));
  EXPECT_TRUE(Eventually([&] { return Gate("limit") == "98"; })) << Gate("limit");
}

TEST_F(InventoryTest, AGateThatLostItsMarksStillAnswersTheWinnersRepeat) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "flushed", 1);
  const std::string winner = Id();
  EXPECT_EQ(OutcomeOf(Reserve(inventory, winner, "flushed")), Outcome::kOk);
  redis::Client admin(redis_options);
  ASSERT_TRUE(admin.Run({"DEL", GateKey("flushed")}).ok());
  ASSERT_TRUE(admin.Run({"DEL", "flotilla:hold:{" + Name("flushed") + "}:" + winner}).ok());
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "flushed")), Outcome::kOutOfStock);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, winner, "flushed")), Outcome::kOk);
  EXPECT_EQ(Gate("flushed"), "0");
}

TEST_F(InventoryTest, TheReconcileReportShowsDrift) {
  Instance inventory(database->options(), redis_options);
  Put(inventory, "report-a", 5);
  Put(inventory, "report-b", 5);
  EXPECT_EQ(OutcomeOf(Reserve(inventory, Id(), "report-a")), Outcome::kOk);
  SetGate("report-a", "7");
  const auto report = async::BlockOn(executor, inventory.keeping.Compare({.prefix = Name("report-")}));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->size(), 2u);
  EXPECT_EQ((*report)[0].available, 4);
  EXPECT_EQ((*report)[0].gate, 7);
  EXPECT_EQ((*report)[1].gate, std::nullopt);
}

TEST_F(InventoryTest, ManyBuyersThroughTheGateGetExactlyWhatThereIs) {
  Instance one(database->options(), redis_options), two(database->options(), redis_options);
  Put(one, "many", 100);
  EXPECT_EQ(HoldersOf(one, two, "many", 1), 100);
  EXPECT_EQ(Get(one, "many").reserved, 100);
}
TEST_F(InventoryTest, ManyBuyersThroughAGateOfSegmentsGetExactlyWhatThereIs) {
  Instance one(database->options(), redis_options, 4), two(database->options(), redis_options, 4);
  Keeper keeper(database->options(), redis_options, one.catalog, one.gate, {.period = absl::Milliseconds(20)});
  Put(one, "segments", 100);
  EXPECT_EQ(HoldersOf(one, two, "segments", 1), 100);
  EXPECT_EQ(Get(one, "segments").reserved, 100);
  // Lost and stale in part: SQL refuses what is too much, and the gate learns it.
  redis::Client admin(redis_options);
  ASSERT_TRUE(admin.Run({"DEL", "flotilla:stock:{" + Name("segments") + "~2}"}).ok());
  SetGate("segments", "7");
  EXPECT_EQ(HoldersOf(one, two, "segments", 1), 0);
  const std::vector<std::string> name = {Name("segments")};
  StockGate gate(redis_options, one.gate.memory());
  EXPECT_TRUE(Eventually([&] { return gate.Read(name)->front() == 0; }));
  // Several units an order: none is left behind for good that an order alone could have. Right after the crowd a
  // refusal may still stand for a moment: units on their way back, a flag that the SKU is sold out.
  Put(one, "pairs", 101);
  EXPECT_LE(HoldersOf(one, two, "pairs", 3), 33);
  EXPECT_TRUE(Eventually([&] {
    while (OutcomeOf(Reserve(one, Id(), "pairs", 3)) == Outcome::kOk) continue;
    return Get(one, "pairs").available == 2;
  }));
}

}  // namespace
}  // namespace flotilla::inventory
