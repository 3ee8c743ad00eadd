// Steps, refusals, compensations and what is written of them.
#include "saga/saga_fixture.h"
#include "telemetry/metrics.h"
#include "testing/http.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

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
  Engine engine(Options("me", kShortLease),
                {Steps({{.name = "a", .action = Do("a", absl::UnavailableError("down"))}})});
  BeginAs("me", {MakeRecord("1")}, kShortLease);
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_EQ(Query("SELECT direction || ' ' || parked_from FROM saga"), "2 0");
  EXPECT_NE(Query("SELECT error FROM saga").find("down"), std::string::npos);
  Engine other(Options("other"), {Steps({{.name = "a", .action = Do("again")}})});
  other.StartRecovery({&executor});
  absl::SleepFor(kShortLease + absl::Milliseconds(500));
  EXPECT_THAT(Journal(), ElementsAre("a", "a", "a", "a"));
}

TEST_F(SagaTest, BehindThePivotARefusalIsRetriedNeverUndone) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a"), .pivot = true},
                                       {.name = "b", .action = Do("b", kNo)}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_THAT(Journal(), ElementsAre("a", "b", "b", "b", "b"));
}

// An operator hears of what is refused long before he hears of what an outage holds up.
TEST_F(SagaTest, RefusalsParkSoonerThanFailures) {
  Definition definition =
      Steps({{.name = "a", .action = Do("a"), .pivot = true}, {.name = "b", .action = Do("b", kNo, 6)}});
  definition.steps[1].retry = {.max = absl::Milliseconds(1), .max_attempts = 1000, .max_refusals = 3};
  Engine engine(Options("me"), {definition});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_EQ(Journal().size(), 1 + 6 + 3);
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

TEST_F(SagaTest, OnlyTroubleIsWrittenToTheHistory) {
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a", absl::OkStatus(), 2)}})});
  BeginAs("me", {MakeRecord("smooth")});
  BeginAs("me", {MakeRecord("rough")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("rough"))), Outcome::kCompleted);
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("smooth"))), Outcome::kCompleted);
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga_history WHERE id = 'rough'") == "3"; }));
  EXPECT_EQ(Query("SELECT string_agg(kind || step || attempt || error || owner, ',' ORDER BY sequence) FROM "
                  "saga_history"),
            "1a1UNAVAILABLE: try againme,1a2UNAVAILABLE: try againme,40me");
  EXPECT_EQ(Query("SELECT count(*) FROM saga_history WHERE id = 'smooth'"), "0");
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

}  // namespace
}  // namespace flotilla::saga
