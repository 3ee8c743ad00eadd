// Orphans and who takes them over.
#include <iostream>
#include <thread>

#include "saga/admin.h"
#include "saga/saga_fixture.h"
#include "telemetry/metrics.h"
#include "testing/http.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

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

TEST_F(SagaTest, AnOrphanIsTakenByOneAndTheOldOwnerIsFencedOff) {
  async::ThreadExecutor other;
  const Record record = MakeRecord("1");
  BeginAs("dead", {record}, kShortLease);
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
  BeginAs("dead", {MakeRecord("1")}, kShortLease);
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
  BeginAs("dead", {newer}, -absl::Seconds(1));
  const telemetry::MetricsEndpoint endpoint("127.0.0.1:0");
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually(
      [&] { return HttpGet(endpoint.port(), "/metrics").find("\nflotilla_saga_unknown 1") != std::string::npos; }));
  absl::SleepFor(absl::Milliseconds(1000));
  EXPECT_EQ(Query("SELECT owner FROM saga"), "dead");
}

TEST_F(SagaTest, ASagaThatLosesTooManyOwnersIsParkedUntilAnOperatorLetsItGoOn) {
  BeginAs("dead", {MakeRecord("1")}, -absl::Seconds(1));
  Gate never;
  const Definition hangs = Steps({{.name = "a", .action = [&](Context&) -> async::Task<absl::Status> {
                                     Note("a");
                                     co_await never.Wait();
                                     co_return absl::OkStatus();
                                   }}});
  EngineOptions options = Options("");
  options.max_takeovers = 2;
  // Each ends as a process does that its step kills: the saga is left in the middle of it.
  for (const std::string owner : {"first", "second", "third", "fourth"}) {
    options.owner = owner;
    Engine engine(options, {hangs});
    engine.StartRecovery({&executor});
    const std::size_t before = Journal().size();
    EXPECT_TRUE(Eventually([&] { return Journal().size() > before; }));
  }
  Query("UPDATE saga SET created_at = now() - interval '2 hours'");
  options.owner = "fifth";
  Engine engine(options, {Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().parked == 1; }));
  EXPECT_EQ(Journal().size(), 4u) << "it was young, and went on";
  EXPECT_EQ(Query("SELECT direction || parked_step || takeovers || split_part(error, ':', 1) FROM saga"),
            "2take over5SAGA_TAKEN_OVER_TOO_OFTEN");
  Admin admin(postgres_options, {});
  EXPECT_EQ(async::BlockOn(executor, admin.Do(Act::kRetry, {"test", "1"}, "olga", "the step is mended")),
            absl::OkStatus());
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 1; }));
  never.Open();
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
  Engine owner(Options("owner", kShortLease), {Steps({slow})});
  Engine rival(Options("rival", kShortLease), {Steps({slow})});
  owner.StartRecovery({&other});
  rival.StartRecovery({&other});
  BeginAs("owner", {MakeRecord("flying"), MakeRecord("stray")}, kShortLease);
  std::atomic<bool> ended = false;
  async::Spawn(executor, [](Engine& engine, Record mine, std::atomic<bool>& done) -> async::Task<void> {
    co_await engine.Run(std::move(mine));
    done = true;
  }(owner, MakeRecord("flying"), ended));
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga WHERE id = 'stray'") == "0"; }));
  EXPECT_FALSE(ended);
  open = true;
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
  EXPECT_TRUE(Eventually([&] { return owner.stats().completed + rival.stats().completed == 2; }));
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
  Gate gate;
  Step slow{.name = "slow", .timeout = absl::Seconds(60)};
  slow.action = [&](Context& context) -> async::Task<absl::Status> {
    Note("slow");
    if (context.record.fence == 1) co_await gate.Wait();
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
  EXPECT_TRUE(Eventually([&] { return heir.stats().completed == 1; }));
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return outcome != -1; }));
  EXPECT_EQ(static_cast<Outcome>(outcome.load()), Outcome::kLost);
  EXPECT_THAT(Journal(), testing::Not(testing::Contains("next")));
}

// As many as are taken over at once hung, since a service was away: no others were taken over.
TEST_F(SagaTest, OrphansThatHangKeepNoOthersWaiting) {
  Gate gate;
  std::atomic<bool> away = true;
  Definition hanging = Steps({{.name = "a", .timeout = absl::Milliseconds(200)}});
  hanging.type = "hanging";
  hanging.steps[0].action = [&](Context& context) -> async::Task<absl::Status> {
    if (away && context.record.id.back() % 2 == 0) co_await gate.Wait();
    co_return away ? absl::UnavailableError("away") : absl::OkStatus();
  };
  hanging.steps[0].retry = {.initial = absl::Milliseconds(500), .max = absl::Milliseconds(500), .max_attempts = 100000};
  std::vector<Record> records;
  for (int i = 0; i < 100; ++i) {
    records.push_back(MakeRecord(std::to_string(i)));
    if (i < 90) records.back().type = "hanging";
  }
  BeginAs("dead", records, -absl::Seconds(1));
  Query("UPDATE saga SET lease_until = lease_until - interval '1 minute' WHERE type = 'hanging'");
  auto options = Options("me");
  options.claim_batch = 10;
  options.max_recovering = 20;
  Engine engine(options, {hanging, Steps({{.name = "a", .action = Do("a")}})});
  engine.StartRecovery({&executor});
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 10; }));
  EXPECT_EQ(Query("SELECT count(*) FROM saga"), "90");
  away = false;
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return engine.stats().completed == 100; }, absl::Seconds(60)));
}

TEST_F(SagaTest, ALookSaysNothingOfARecordThatIsBeingTakenOver) {
  BeginAs("owner", {MakeRecord("1")}, -absl::Seconds(1));
  Query("INSERT INTO saga_owner VALUES ('owner', now() + interval '1 minute')");
  EXPECT_EQ(Query("SELECT count(*) FROM saga_claim('rival', interval '1 second', ARRAY['test/1'], 10)"), "0");
  pqxx::connection one(postgres_options.uri), two(postgres_options.uri);
  Query("UPDATE saga_owner SET lease_until = now() - interval '1 second'");
  {
    // One transaction has claimed and not committed: a look says nothing of its record, and waits for nobody.
    pqxx::work claiming(one);
    EXPECT_EQ(claiming.exec("SELECT count(*) FROM saga_claim('rival', interval '1 second', ARRAY['test/1'], 10)")[0][0]
                  .as<int>(),
              1);
    pqxx::work looking(two);
    EXPECT_EQ(looking.exec("SELECT count(*) FROM saga_look(ARRAY['test'], ARRAY['1'], ARRAY[1])")[0][0].as<int>(), 0);
    claiming.commit();
    EXPECT_FALSE(looking.exec("SELECT held FROM saga_look(ARRAY['test'], ARRAY['1'], ARRAY[1])")[0][0].as<bool>());
    EXPECT_TRUE(looking.exec("SELECT held FROM saga_look(ARRAY['test'], ARRAY['1'], ARRAY[2])")[0][0].as<bool>());
  }
}

TEST_F(SagaTest, WhoRenewsItsLeaseWhileItsSagasAreTakenOverKeepsTheOthers) {
  BeginAs("owner", {MakeRecord("1")}, -absl::Seconds(2));
  BeginAs("owner", {MakeRecord("2")}, -absl::Seconds(1));
  Query("INSERT INTO saga_owner VALUES ('owner', now() - interval '1 second')");
  pqxx::connection one(postgres_options.uri);
  pqxx::work between(one);
  between.exec("LOCK TABLE saga_history");  // stops the claim behind its first record
  std::string claimed;
  std::thread rival([&] {
    claimed = Query("SELECT string_agg((claimed).id, ',') FROM saga_claim('rival', '1 second', ARRAY['test/1'], 10)");
  });
  EXPECT_TRUE(Eventually([&] {
    return Query(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE "
               "datname = current_database())") == "1";
  }));
  Query("UPDATE saga_owner SET lease_until = now() + interval '1 minute'");
  between.commit();
  rival.join();
  EXPECT_EQ(claimed, "1");
}

}  // namespace
}  // namespace flotilla::saga
