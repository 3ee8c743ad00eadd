#include "saga/saga.h"

#include <atomic>
#include <iostream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "errors/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "postgres/test_database.h"
#include "saga/migrations.h"
#include "telemetry/metrics.h"
#include "testing/eventually.h"
#include "testing/http.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

class SagaTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    postgres_options = database->options();
    const absl::Status status = postgres::Migrate(postgres_options, Migrations(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() { delete database; }
  void SetUp() override { Query("TRUNCATE saga, saga_history, saga_archive, saga_owner"); }

  static std::string Query(const std::string& sql) { return database->Query(sql); }
  static EngineOptions Options(const std::string& owner) {
    EngineOptions options;
    options.postgres = postgres_options;
    options.owner = owner;
    options.lease = absl::Milliseconds(600);
    options.scan_interval = absl::Milliseconds(50);
    return options;
  }
  static Record MakeRecord(const std::string& id) {
    Record record;
    record.id = id;
    record.type = "test";
    record.data = std::string("data\0\xff", 6);
    return record;
  }
  // As a service would, in its own transaction.
  static void BeginAs(const std::string& owner, std::vector<Record> records,
                      absl::Duration lease = absl::Milliseconds(600)) {
    postgres::Session session(postgres_options);
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      Begin(transaction, records, owner, lease);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  static absl::Status Finish(Context& context) {
    thread_local postgres::Session session(postgres_options);
    std::vector<std::string> ended;
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      ended = End(transaction, {&context.record, 1});
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return ended.empty() ? Lost() : absl::OkStatus();
  }

  // A journal of what ran.
  void Note(std::string text) {
    std::lock_guard lock(mutex);
    journal.push_back(std::move(text));
  }
  std::vector<std::string> Journal() {
    std::lock_guard lock(mutex);
    return journal;
  }
  Action Do(const std::string& text, absl::Status status = absl::OkStatus(), int fail_first = 0) {
    auto left = std::make_shared<std::atomic<int>>(fail_first);
    return [this, text, status, left](Context&) -> async::Task<absl::Status> {
      Note(text);
      if ((*left)-- > 0) co_return absl::UnavailableError("try again");
      co_return status;
    };
  }
  Definition Steps(std::vector<Step> steps) {
    Definition definition;
    definition.type = "test";
    definition.steps = std::move(steps);
    for (Step& step : definition.steps) {
      step.retry.initial = absl::Milliseconds(1);
      step.retry.max_attempts = 4;
    }
    definition.finish_forward = [this](Context& context) -> async::Task<absl::Status> {
      Note("paid");
      co_return Finish(context);
    };
    definition.finish_compensated = [this](Context& context) -> async::Task<absl::Status> {
      Note("cancelled " + context.record.reason);
      co_return Finish(context);
    };
    return definition;
  }

  static inline postgres::TestDatabase* database = nullptr;
  static inline postgres::Options postgres_options;
  std::mutex mutex;
  std::vector<std::string> journal;
  async::ThreadExecutor executor;
};

const absl::Status kNo = errors::Make(absl::StatusCode::kFailedPrecondition, "NO_MONEY", "no money");

TEST_F(SagaTest, RunsForwardToTheEnd) {
  Engine engine(Options("me"),
                {Steps({{.name = "a", .action = Do("a")}, {.name = "b", .action = Do("b"), .pivot = true}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("a", "b", "paid"));
  EXPECT_EQ(Query("SELECT count(*) FROM saga"), "0");
  EXPECT_EQ(engine.stats().completed, 1);
}

TEST_F(SagaTest, ARefusalUndoesInReverseAndTheDecisionIsDurableFirst) {
  std::string seen;
  Step b{.name = "b", .action = Do("b", kNo)};
  b.compensation = [&](Context&) -> async::Task<absl::Status> {
    seen = Query("SELECT direction || ' ' || reason FROM saga WHERE id = '1'");
    Note("undo b");
    co_return absl::OkStatus();
  };
  Engine engine(Options("me"),
                {Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")},
                        b,
                        {.name = "c", .action = Do("c"), .compensation = Do("undo c"), .pivot = true}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompensated);
  EXPECT_THAT(Journal(), ElementsAre("a", "b", "undo b", "undo a", "cancelled NO_MONEY"));
  EXPECT_EQ(seen, "1 NO_MONEY");
}

TEST_F(SagaTest, RetriesWhatMayPass) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a", absl::OkStatus(), 2)}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("a", "a", "a", "paid"));
}

TEST_F(SagaTest, ParksAfterTheLastAttemptAndStaysParked) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a", absl::UnavailableError("down"))}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_EQ(Query("SELECT direction || ' ' || parked_from FROM saga"), "2 0");
  EXPECT_NE(Query("SELECT error FROM saga").find("down"), std::string::npos);
  Engine other(Options("other"), {Steps({{.name = "a", .action = Do("again")}})});
  other.StartRecovery({&executor});
  absl::SleepFor(absl::Seconds(1));
  EXPECT_THAT(Journal(), ElementsAre("a", "a", "a", "a"));
}

TEST_F(SagaTest, BehindThePivotARefusalIsRetriedNeverUndone) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a"), .pivot = true},
                                       {.name = "b", .action = Do("b", kNo)}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_THAT(Journal(), ElementsAre("a", "b", "b", "b", "b"));
}

TEST_F(SagaTest, AnExceptionIsAnErrorLikeOthers) {
  int calls = 0;
  Step step{.name = "a"};
  step.action = [&](Context&) -> async::Task<absl::Status> {
    if (++calls == 1) throw std::runtime_error("oops");
    co_return absl::OkStatus();
  };
  Engine engine(Options("me"), {Steps({step})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_EQ(calls, 2);
}

// Two of these are at their meeting point at once only where their steps run at the same time.
Action Meet(std::shared_ptr<std::atomic<int>> there) {
  return [there](Context&) -> async::Task<absl::Status> {
    ++*there;
    for (int i = 0; i < 2000 && *there % 2 != 0; ++i) co_await async::SleepFor(absl::Milliseconds(1));
    co_return *there % 2 == 0 ? absl::OkStatus() : absl::FailedPreconditionError("nobody came");
  };
}

TEST_F(SagaTest, ConcurrentStepsRunAtTheSameTime) {
  const auto there = std::make_shared<std::atomic<int>>(0), back = std::make_shared<std::atomic<int>>(0);
  Engine engine(Options("me"),
                {Steps({{.name = "a", .action = Meet(there), .compensation = Meet(back)},
                        {.name = "b", .action = Meet(there), .compensation = Meet(back), .concurrent = true},
                        {.name = "c", .action = Do("c", kNo), .pivot = true}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompensated);
  EXPECT_EQ(*there, 2);
  EXPECT_EQ(*back, 2);
}

TEST_F(SagaTest, ARefusalAmongConcurrentStepsUndoesThemAll) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")},
                                       {.name = "b", .action = Do("b", kNo), .compensation = Do("undo b")},
                                       {.name = "c",
                                        .action = Do("c", absl::UnavailableError("down")),
                                        .compensation = Do("undo c"),
                                        .concurrent = true}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompensated);
  auto seen = Journal();
  EXPECT_THAT(seen, testing::IsSupersetOf({"a", "b", "c", "undo b", "undo c"}));
  EXPECT_EQ(seen[seen.size() - 2], "undo a");
}

TEST_F(SagaTest, WhatADefinitionMayNotSay) {
  const Step a{.name = "a", .action = Do("a")};
  Step concurrent = a, pivot = a;
  concurrent.concurrent = true;
  pivot.pivot = true;
  EXPECT_THROW(Engine(Options("me"), {Steps({concurrent})}), std::invalid_argument);
  EXPECT_THROW(Engine(Options("me"), {Steps({pivot, concurrent})}), std::invalid_argument);
  pivot.concurrent = true;
  EXPECT_THROW(Engine(Options("me"), {Steps({a, pivot})}), std::invalid_argument);
  EXPECT_THROW(Engine(Options("me"), {Steps({a}), Steps({a})}), std::invalid_argument);
}

TEST_F(SagaTest, ResultsAreHandedOnToLaterStepsAndCompensations) {
  const auto give = [](std::string value) -> Action {
    return [value](Context& context) -> async::Task<absl::Status> {
      context.results[value] = value + "'s";
      co_return absl::OkStatus();
    };
  };
  const auto show = [this](Context& context) -> async::Task<absl::Status> {
    for (const auto& [name, value] : context.results) Note(name + " " + value);
    co_return absl::OkStatus();
  };
  Engine engine(Options("me"), {Steps({{.name = "a", .action = give("a"), .compensation = show},
                                       {.name = "b", .action = give("b"), .concurrent = true},
                                       {.name = "c", .action = show},
                                       {.name = "d", .action = Do("d", kNo)}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompensated);
  EXPECT_THAT(Journal(), ElementsAre("a a's", "b b's", "d", "a a's", "b b's", "cancelled NO_MONEY"));
}

TEST_F(SagaTest, EveryAttemptHasItsOwnDeadline) {
  std::vector<absl::Duration> left;
  Step step{.name = "a", .timeout = absl::Seconds(7)};
  step.action = [&left](Context& context) -> async::Task<absl::Status> {
    left.push_back(context.deadline - absl::Now());
    co_return left.size() < 3 ? absl::DeadlineExceededError("slow") : absl::OkStatus();
  };
  Engine engine(Options("me"), {Steps({step})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  ASSERT_EQ(left.size(), 3u);
  for (const absl::Duration each : left) {
    EXPECT_LE(each, absl::Seconds(7));
    EXPECT_GT(each, absl::Seconds(5));
  }
}

TEST_F(SagaTest, PastItsOverallDeadlineASagaGoesBackButNotBehindItsPivot) {
  Definition early = Steps({{.name = "a",
                             .action = Do("a", absl::UnavailableError("down")),
                             .compensation = Do("undo a"),
                             .retry = {.max_attempts = 1000}}});
  early.steps[0].retry.max_attempts = 100000;
  early.deadline = absl::Milliseconds(100);
  Engine engine(Options("me"), {early});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompensated);
  EXPECT_EQ(Journal().back(), "cancelled SAGA_DEADLINE");

  Definition late = Steps({{.name = "b", .action = Do("b"), .pivot = true}, {.name = "c", .action = Do("c")}});
  late.type = "late";
  late.steps[0].action = [](Context&) -> async::Task<absl::Status> {
    co_await async::SleepFor(absl::Milliseconds(300));
    co_return absl::OkStatus();
  };
  late.deadline = absl::Milliseconds(100);
  Engine other(Options("me"), {late});
  Record record = MakeRecord("2");
  record.type = "late";
  BeginAs("me", {record});
  EXPECT_EQ(async::BlockOn(executor, other.Run(record)), Outcome::kCompleted);
}

TEST_F(SagaTest, ARecoveredSagaIsAsOldAsItsRecord) {
  BeginAs("dead", {MakeRecord("1")}, -absl::Seconds(1));
  Query("UPDATE saga SET created_at = now() - interval '1 hour'");
  Definition definition = Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")}});
  definition.deadline = absl::Minutes(30);
  Engine engine(Options("me"), {definition});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().compensated == 1; }));
  EXPECT_THAT(Journal(), ElementsAre("undo a", "cancelled SAGA_DEADLINE"));
}

// Once it was tried, nobody knows whether it has taken effect.
TEST_F(SagaTest, ADeadlineDoesNotTurnBackASagaThatHasTriedItsPivot) {
  int attempts = 0;
  Step pivot{.name = "pivot", .compensation = Do("undo pivot"), .pivot = true};
  pivot.action = [&](Context&) -> async::Task<absl::Status> {
    Note("pivot");
    co_await async::SleepFor(absl::Milliseconds(200));
    if (++attempts == 1) co_return absl::UnavailableError("its answer was lost");
    co_return absl::OkStatus();
  };
  Definition definition = Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")}, pivot});
  definition.deadline = absl::Milliseconds(150);
  Engine engine(Options("me"), {definition});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("a", "pivot", "pivot", "paid"));
}

TEST_F(SagaTest, ARecoveredSagaMayHaveTriedItsPivotAndGoesForward) {
  BeginAs("dead", {MakeRecord("1")}, -absl::Seconds(1));
  Query("UPDATE saga SET created_at = now() - interval '1 hour'");
  Definition definition = Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")},
                                 {.name = "pivot", .action = Do("pivot"), .pivot = true}});
  definition.deadline = absl::Minutes(30);
  Engine engine(Options("me"), {definition});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 1; }));
  EXPECT_THAT(Journal(), ElementsAre("a", "pivot", "paid"));
}

TEST_F(SagaTest, ARecordThatNobodyHasHadIsNoOrphan) {
  BeginAs("", {MakeRecord("1")}, absl::ZeroDuration());
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 1; }));
  EXPECT_EQ(engine.stats().recovered, 0);
  EXPECT_EQ(Query("SELECT count(*) FROM saga_history"), "0");
}

TEST_F(SagaTest, ARecordFinishesUnderTheVersionItBeganUnder) {
  Definition old_one = Steps({{.name = "old", .action = Do("old")}});
  Definition new_one = Steps({{.name = "new", .action = Do("new")}});
  new_one.version = 2;
  Record newer = MakeRecord("2");
  newer.version = 2;
  BeginAs("dead", {MakeRecord("1")}, -absl::Seconds(1));
  Engine engine(Options("me"), {new_one, old_one});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 1; }));
  EXPECT_THAT(Journal(), ElementsAre("old", "paid"));
  BeginAs("me", {newer});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(newer)), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("old", "paid", "new", "paid"));
}

TEST_F(SagaTest, OnlyTroubleIsWrittenToTheHistory) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a", absl::OkStatus(), 2)}})});
  BeginAs("me", {MakeRecord("smooth")});
  BeginAs("me", {MakeRecord("rough")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("rough"))), Outcome::kCompleted);
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("smooth"))), Outcome::kCompleted);
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga_history WHERE id = 'rough'") == "2"; }));
  EXPECT_EQ(Query("SELECT string_agg(step || attempt || error || owner, ',' ORDER BY sequence) FROM saga_history"),
            "a1UNAVAILABLE: try againme,a2UNAVAILABLE: try againme");
}

// An error that the database refuses must not keep a saga from being parked.
TEST_F(SagaTest, AnErrorMayHoldAnyBytes) {
  Engine engine(Options("me"),
                {Steps({{.name = "a", .action = Do("a", absl::UnavailableError(std::string("\xff\0'\\x", 5)))}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
}

TEST_F(SagaTest, OldHistoryAndArchiveAreDropped) {
  Query(
      "INSERT INTO saga_history (type, id, kind, at) SELECT 'test', n::text, 1, now() - interval '2 days' "
      "FROM generate_series(1, 2500) n");
  Query("INSERT INTO saga_history (type, id, kind) VALUES ('test', 'new', 1)");
  // What is still open keeps its history, however old.
  BeginAs("me", {MakeRecord("open")}, absl::Hours(1));
  Query("INSERT INTO saga_history (type, id, kind, at) VALUES ('test', 'open', 1, now() - interval '2 days')");
  Query("INSERT INTO saga_archive SELECT 'test', 'old', 1, 0, '', '', '', '', 1, now(), now() - interval '2 days'");
  auto options = Options("me");
  options.history_retention = absl::Hours(24);
  Engine engine(options, {Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga_history") == "2"; }));
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga_archive") == "0"; }));
}

TEST_F(SagaTest, MetricsTellWhatBeganEndedIsParkedAndHowLateItWasTakenOver) {
  const telemetry::MetricsEndpoint endpoint("127.0.0.1:0");
  Definition definition = Steps({{.name = "a", .action = Do("a")}});
  Definition bad = Steps({{.name = "a", .action = Do("a", absl::UnavailableError("down"))}});
  definition.type = "metered";
  bad.type = "broken";
  Record good = MakeRecord("1"), parked = MakeRecord("2");
  good.type = "metered";
  parked.type = "broken";
  BeginAs("dead", {good, parked}, -absl::Seconds(3));
  Engine first(Options("me"), {definition, bad});
  first.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return first.stats().completed == 1 && first.stats().parked == 1; }));
  Engine second(Options("you"), {definition});  // sums up when it begins
  second.StartRecovery({&executor});
  const auto page_has = [&](const std::string& text) {
    return Eventually([&] { return HttpGet(endpoint.port(), "/metrics").find(text) != std::string::npos; });
  };
  EXPECT_TRUE(page_has("flotilla_saga_started_total{type=\"metered\"} 1"));
  EXPECT_TRUE(page_has("flotilla_saga_total{outcome=\"completed\",type=\"metered\"} 1"));
  EXPECT_TRUE(page_has("flotilla_saga_total{outcome=\"parked\",type=\"broken\"} 1"));
  EXPECT_TRUE(page_has("flotilla_saga_parked 1\n"));
  EXPECT_TRUE(page_has("flotilla_saga_in_flight 0\n"));
  EXPECT_TRUE(page_has("flotilla_saga_oldest_seconds 0\n"));
  const std::string page = HttpGet(endpoint.port(), "/metrics");
  // Both had waited three seconds.
  EXPECT_EQ(page.find("flotilla_saga_recovery_lag_seconds_bucket{le=\"2.5\"} 1"), std::string::npos) << page;
  EXPECT_NE(page.find("flotilla_saga_recovery_lag_seconds_count"), std::string::npos);
}

TEST_F(SagaTest, AnOrphanIsTakenByOneAndTheOldOwnerIsFencedOff) {
  async::ThreadExecutor other;
  const Record record = MakeRecord("1");
  BeginAs("dead", {record});
  Engine one(Options("one"), {Steps({{.name = "a", .action = Do("a")}})});
  Engine two(Options("two"), {Steps({{.name = "a", .action = Do("a")}})});
  one.StartRecovery({&executor});
  two.StartRecovery({&other});
  EXPECT_TRUE(Eventually([&] { return one.stats().completed + two.stats().completed == 1; }));
  EXPECT_THAT(Journal(), ElementsAre("a", "paid"));
  Context late{record, {}, {}};
  EXPECT_EQ(errors::Reason(Finish(late)), "SAGA_LOST");
}

TEST_F(SagaTest, ACompensatingOrphanGoesOnCompensating) {
  BeginAs("dead", {MakeRecord("1")});
  Query("UPDATE saga SET direction = 1, reason = 'WHY'");
  Engine engine(Options("me"),
                {Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")},
                        {.name = "b", .action = Do("b"), .compensation = Do("undo b"), .pivot = true}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().compensated == 1; }));
  EXPECT_THAT(Journal(), ElementsAre("undo b", "undo a", "cancelled WHY"));
}

TEST_F(SagaTest, UnknownDefinitionsAreLeftToThoseThatKnowThem) {
  Record newer = MakeRecord("1");
  newer.version = 2;
  BeginAs("dead", {newer});
  const telemetry::MetricsEndpoint endpoint("127.0.0.1:0");
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually(
      [&] { return HttpGet(endpoint.port(), "/metrics").find("\nflotilla_saga_unknown 1") != std::string::npos; }));
  absl::SleepFor(absl::Milliseconds(1000));
  EXPECT_EQ(Query("SELECT owner FROM saga"), "dead");
}

TEST_F(SagaTest, ASlowSagaKeepsItsLease) {
  async::ThreadExecutor other;
  Step slow{.name = "slow"};
  slow.action = [this](Context&) -> async::Task<absl::Status> {
    Note("slow");
    co_await async::SleepFor(absl::Milliseconds(2000));
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({slow})});
  Engine rival(Options("rival"), {Steps({slow})});
  rival.StartRecovery({&other});
  BeginAs("owner", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, owner.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_EQ(rival.stats().recovered, 0);
}

TEST_F(SagaTest, AFrozenOwnerThatWakesUpEndsNothing) {
  async::ThreadExecutor other;
  // The owner's step outlasts its lease: another took the saga over and died, and a third finishes it meanwhile.
  Step step{.name = "a"};
  step.action = [this](Context& context) -> async::Task<absl::Status> {
    Note("a");
    if (context.record.fence == 1) {
      Query("UPDATE saga SET owner = 'dead', lease_until = now() - interval '1 second', fence = fence + 1");
      co_await async::SleepFor(absl::Seconds(2));
    }
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({step})});
  BeginAs("owner", {MakeRecord("1")});
  Engine rival(Options("rival"), {Steps({step})});
  rival.StartRecovery({&other});
  EXPECT_EQ(async::BlockOn(executor, owner.Run(MakeRecord("1"))), Outcome::kLost);
  EXPECT_EQ(rival.stats().completed, 1);
  EXPECT_EQ(owner.stats().completed, 0);
}

TEST_F(SagaTest, ClaimedSagasThatWaitForTheirExecutorKeepTheirLease) {
  async::ThreadExecutor other;
  std::vector<Record> records;
  for (int i = 0; i < 20; ++i) records.push_back(MakeRecord(std::to_string(i)));
  BeginAs("dead", records, -absl::Seconds(1));
  Step busy{.name = "busy"};
  busy.action = [this](Context&) -> async::Task<absl::Status> {
    Note("busy");
    absl::SleepFor(absl::Milliseconds(100));  // holds the executor's thread: the last of them begins after 3 leases
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({busy})});
  owner.StartRecovery({&executor});
  ASSERT_TRUE(Eventually([&] { return !Journal().empty(); }));
  Engine rival(Options("rival"), {Steps({busy})});
  rival.StartRecovery({&other});
  EXPECT_TRUE(Eventually([&] { return owner.stats().completed == 20; }));
  EXPECT_EQ(rival.stats().recovered, 0);
}

TEST_F(SagaTest, ALockOnOneSagaDelaysNoRenewal) {
  async::ThreadExecutor other;
  BeginAs("owner", {MakeRecord("1"), MakeRecord("2")});
  Step slow{.name = "slow"};
  slow.action = [](Context&) -> async::Task<absl::Status> {
    co_await async::SleepFor(absl::Milliseconds(1800));
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({slow})});
  Engine rival(Options("rival"), {Steps({slow})});
  rival.StartRecovery({&other});
  pqxx::connection connection(postgres_options.uri);
  std::atomic<int> ended = 0, completed = 0;
  {
    pqxx::work holder(connection);
    holder.exec("SELECT 1 FROM saga WHERE id = '1' FOR UPDATE");
    for (const char* id : {"1", "2"}) {
      async::Spawn(
          executor,
          [](Engine& engine, Record record, std::atomic<int>& all, std::atomic<int>& good) -> async::Task<void> {
            if (co_await engine.Run(std::move(record)) == Outcome::kCompleted) ++good;
            ++all;
          }(owner, MakeRecord(id), ended, completed));
    }
    absl::SleepFor(absl::Milliseconds(1300));  // two leases
    EXPECT_EQ(rival.stats().recovered, 0);
  }
  EXPECT_TRUE(Eventually([&] { return ended == 2; }));
  EXPECT_EQ(completed, 2);
  EXPECT_EQ(rival.stats().recovered, 0);
}

// Its record was committed, but the answer was lost, or its parking could not be written: the lease of an owner that
// has other slow sagas must not keep it from the others.
TEST_F(SagaTest, WhatALivingOwnerDoesNotRunIsTakenOver) {
  async::ThreadExecutor other;
  std::atomic<bool> open = false;
  Step slow{.name = "slow"};
  slow.timeout = absl::Seconds(60);
  slow.action = [&open](Context& context) -> async::Task<absl::Status> {
    while (context.record.id == "flying" && !open) co_await async::SleepFor(absl::Milliseconds(50));
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({slow})});
  Engine rival(Options("rival"), {Steps({slow})});
  owner.StartRecovery({&other});
  rival.StartRecovery({&other});
  BeginAs("owner", {MakeRecord("flying"), MakeRecord("stray")});
  std::atomic<bool> ended = false;
  async::Spawn(executor, [](Engine& engine, Record mine, std::atomic<bool>& done) -> async::Task<void> {
    co_await engine.Run(std::move(mine));
    done = true;
  }(owner, MakeRecord("flying"), ended));
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga WHERE id = 'stray'") == "0"; }));
  EXPECT_FALSE(ended);
  open = true;
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
  EXPECT_EQ(owner.stats().completed + rival.stats().completed, 2);
}

// Each saga had a lease of its own to be renewed: ten thousand took longer than the lease.
TEST_F(SagaTest, TenThousandStuckSagasKeepTheirOwner) {
  async::ThreadExecutor other;
  constexpr int kCount = 10000;
  std::vector<Record> records;
  for (int i = 0; i < kCount; ++i) records.push_back(MakeRecord(std::to_string(i)));
  std::atomic<bool> open = false;
  Step stuck{.name = "stuck"};
  stuck.timeout = absl::Seconds(60);
  stuck.action = [&open](Context&) -> async::Task<absl::Status> {
    while (!open) co_await async::SleepFor(absl::Milliseconds(200));
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner"), {Steps({stuck})});
  Engine rival(Options("rival"), {Steps({stuck})});
  BeginAs("owner", records);
  std::atomic<int> ended = 0;
  for (const Record& record : records) {
    async::Spawn(executor, [](Engine& engine, Record mine, std::atomic<int>& all) -> async::Task<void> {
      co_await engine.Run(std::move(mine));
      ++all;
    }(owner, record, ended));
  }
  // Only now, for a busy machine may take longer to begin them all than the first lease lasts.
  ASSERT_TRUE(Eventually([&] { return owner.stats().in_flight == kCount; }, absl::Seconds(60)));
  ASSERT_TRUE(Eventually(
      [&] { return Query("SELECT count(*) FROM saga_owner WHERE owner = 'owner' AND lease_until > now()") == "1"; }));
  rival.StartRecovery({&other});
  absl::SleepFor(absl::Seconds(3));  // five leases
  EXPECT_EQ(rival.stats().recovered, 0);
  rival.Stop(absl::ZeroDuration());
  owner.Stop(absl::ZeroDuration());  // ten thousand ends would be no more to the point
  open = true;
  EXPECT_TRUE(Eventually([&] { return ended == kCount; }, absl::Seconds(60)));
}

// The planner took a table that was nearly empty at its last vacuum for one row, and a batch's end scanned the table
// once an item: 6.5 s for 256 among 100,000.
TEST_F(SagaTest, EndsStayCheapWhenTheTableGrewBehindThePlannersBack) {
  Query("ALTER TABLE saga SET (autovacuum_enabled = false)");
  Query(
      "INSERT INTO saga (type, id, version, data, owner, lease_until) "
      "SELECT 'test', 'old' || n, 1, '', 'me', now() FROM generate_series(1, 3000) n");
  Query("DELETE FROM saga WHERE id <> 'old3000'");
  Query("VACUUM (TRUNCATE false, ANALYZE) saga");
  constexpr postgres::Statement kRead = {"rows_read", R"(
      SELECT pg_stat_get_xact_tuples_returned('saga'::regclass)
          + (SELECT sum(pg_stat_get_xact_tuples_fetched(indexrelid))::bigint FROM pg_index WHERE indrelid = 'saga'::regclass))"};
  postgres::Session session(postgres_options);
  std::size_t ended = 0;
  std::int64_t read = 0;
  const auto end = [&](int from) {
    std::vector<Record> records;
    for (int i = from; i < from + 256; ++i) records.push_back(MakeRecord(std::to_string(i)));
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      ended = End(transaction, records).size();
      read = transaction.Run(kRead)[0][0].as<std::int64_t>();
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  };
  for (int i = 0; i < 8; ++i) end(1000000);  // the plan is cached
  EXPECT_EQ(ended, 0u);
  Query(
      "INSERT INTO saga (type, id, version, data, owner, lease_until) "
      "SELECT 'test', n::text, 1, '', 'me', now() FROM generate_series(1, 100000) n");
  end(50000);
  EXPECT_EQ(ended, 256u);
  EXPECT_GE(read, 256);
  EXPECT_LT(read, 1000) << "rows read for 256 ends";
  Query("ALTER TABLE saga RESET (autovacuum_enabled)");
}

TEST_F(SagaTest, ThousandsOfOrphansAreResumed) {
  async::ThreadExecutor other;
  constexpr int kCount = 2000;
  std::vector<Record> records;
  for (int i = 0; i < kCount; ++i) records.push_back(MakeRecord(std::to_string(i)));
  BeginAs("dead", records, -absl::Seconds(1));
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a")}})});
  const absl::Time start = absl::Now();
  engine.StartRecovery({&executor, &other});
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == kCount; }, absl::Seconds(60)));
  std::cout << kCount << " orphans in " << absl::FormatDuration(absl::Now() - start)
            << ", each ended in a commit of its own\n";
  EXPECT_EQ(Query("SELECT count(*) FROM saga"), "0");
}

TEST_F(SagaTest, StopLeavesTheRestToOthersAtOnce) {
  async::ThreadExecutor other;
  Step slow{.name = "slow"};
  slow.action = [this](Context& context) -> async::Task<absl::Status> {
    Note("slow");
    if (context.record.fence == 1) co_await async::SleepFor(absl::Milliseconds(1500));
    co_return absl::OkStatus();
  };
  auto options = Options("stopped");
  options.lease = absl::Seconds(60);
  Engine stopped(options, {Steps({slow, {.name = "next", .action = Do("next")}})});
  BeginAs("stopped", {MakeRecord("1")}, absl::Seconds(60));
  std::atomic<int> outcome = -1;
  async::Spawn(executor, [](Engine& engine, Record record, std::atomic<int>& out) -> async::Task<void> {
    out = static_cast<int>(co_await engine.Run(std::move(record)));
  }(stopped, MakeRecord("1"), outcome));
  ASSERT_TRUE(Eventually([&] { return !Journal().empty(); }));
  stopped.Stop(absl::Milliseconds(100));
  Engine heir(Options("heir"), {Steps({{.name = "slow", .action = Do("heir")}})});
  heir.StartRecovery({&other});
  EXPECT_TRUE(Eventually([&] { return heir.stats().completed == 1; }, absl::Seconds(5)));
  EXPECT_TRUE(Eventually([&] { return outcome != -1; }, absl::Seconds(5)));
  EXPECT_EQ(static_cast<Outcome>(outcome.load()), Outcome::kLost);
  EXPECT_THAT(Journal(), testing::Not(testing::Contains("next")));
}

}  // namespace
}  // namespace flotilla::saga
