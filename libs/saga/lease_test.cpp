// Leases: kept while their owner lives, respected where it has lost them.
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "saga/saga_fixture.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

// Where a lease has to be kept: a third of it passes between renewals, so a busy machine may stall for seconds.
constexpr absl::Duration kLease = absl::Seconds(6);

TEST_F(SagaTest, ASlowSagaKeepsItsLease) {
  async::ThreadExecutor other;
  Step slow{.name = "slow", .timeout = absl::Seconds(60)};
  slow.action = [this](Context&) -> async::Task<absl::Status> {
    Note("slow");
    co_await async::SleepFor(2.2 * kLease);  // one renewal would not do
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner", kLease), {Steps({slow})});
  Engine rival(Options("rival", kLease), {Steps({slow})});
  rival.StartRecovery({&other});
  BeginAs("owner", {MakeRecord("1")}, kLease);
  EXPECT_EQ(async::BlockOn(executor, owner.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_EQ(rival.stats().recovered, 0);
}

TEST_F(SagaTest, AFrozenOwnerThatWakesUpEndsNothing) {
  async::ThreadExecutor other;
  // The owner's step outlasts its lease: another took the saga over and died, and a third finishes it meanwhile.
  Step step{.name = "a", .timeout = absl::Seconds(60)};
  step.action = [this](Context& context) -> async::Task<absl::Status> {
    Note("a");
    if (context.record.fence == 1) {
      Query("UPDATE saga SET owner = 'dead', lease_until = now() - interval '1 second', fence = fence + 1");
      co_await async::SleepFor(2 * kShortLease);
    }
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner", kShortLease), {Steps({step})});
  BeginAs("owner", {MakeRecord("1")}, kShortLease);
  Engine rival(Options("rival"), {Steps({step})});
  rival.StartRecovery({&other});
  EXPECT_EQ(async::BlockOn(executor, owner.Run(MakeRecord("1"))), Outcome::kLost);
  EXPECT_TRUE(Eventually([&] { return rival.stats().completed == 1; }));
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
    absl::SleepFor(kLease / 15);  // holds the executor's thread: the last of them begins after its first lease
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner", kLease), {Steps({busy})});
  owner.StartRecovery({&executor});
  ASSERT_TRUE(Eventually([&] { return !Journal().empty(); }));
  Engine rival(Options("rival", kLease), {Steps({busy})});
  rival.StartRecovery({&other});
  EXPECT_TRUE(Eventually([&] { return owner.stats().completed == 20; }, absl::Seconds(60)));
  EXPECT_EQ(rival.stats().recovered, 0);
}

// Its COMMIT took longer than its lease, and its owner's lease is kept up by another saga.
TEST_F(SagaTest, WhatWasDisownedBeforeItBeganHasOneOwner) {
  async::ThreadExecutor other;
  Gate gate;
  Step step{.name = "a", .timeout = absl::Seconds(60)};
  step.action = [&](Context& context) -> async::Task<absl::Status> {
    Note(absl::StrCat(context.record.id, " fence ", context.record.fence));
    if (context.record.id == "slow") co_await gate.Wait();
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner", kShortLease), {Steps({step})});
  owner.StartRecovery({&other});
  BeginAs("owner", {MakeRecord("slow")}, kShortLease);
  std::thread slow([&] { async::BlockOn(executor, owner.Run(MakeRecord("slow"))); });
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga_owner") == "1"; }));
  absl::SleepFor(2 * kShortLease);  // so that the owner's lease is older than the end of the record's
  Record late = MakeRecord("late");
  late.made = async::After(-kShortLease - absl::Milliseconds(100));
  BeginAs("owner", {late}, -absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return Query("SELECT count(*) FROM saga WHERE id = 'late' AND fence = 1") == "0"; }));
  EXPECT_EQ(async::BlockOn(other, owner.Run(late)), Outcome::kLost);
  gate.Open();
  slow.join();
  EXPECT_TRUE(Eventually([&] { return owner.stats().completed == 2; }));
  EXPECT_THAT(Journal(), testing::Not(testing::Contains("late fence 1")));
}

TEST_F(SagaTest, ALockOnOneSagaDelaysNoRenewal) {
  async::ThreadExecutor other;
  Step slow{.name = "slow", .timeout = absl::Seconds(60)};
  slow.action = [](Context&) -> async::Task<absl::Status> {
    co_await async::SleepFor(1.4 * kLease);
    co_return absl::OkStatus();
  };
  Engine owner(Options("owner", kLease), {Steps({slow})});
  Engine rival(Options("rival", kLease), {Steps({slow})});
  rival.StartRecovery({&other});
  pqxx::connection connection(postgres_options.uri);
  BeginAs("owner", {MakeRecord("1"), MakeRecord("2")}, kLease);
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
    absl::SleepFor(1.3 * kLease);
    EXPECT_EQ(rival.stats().recovered, 0);
  }
  EXPECT_TRUE(Eventually([&] { return ended == 2; }));
  EXPECT_EQ(completed, 2);
  EXPECT_EQ(rival.stats().recovered, 0);
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
  Engine owner(Options("owner", kLease), {Steps({stuck})});
  Engine rival(Options("rival", kLease), {Steps({stuck})});
  BeginAs("owner", records, kLease);
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
  const auto writers = [] { return Query("SELECT string_agg(DISTINCT xmin::text, ' ') FROM saga"); };
  const std::string before = writers();
  rival.StartRecovery({&other});
  absl::SleepFor(1.3 * kLease);
  EXPECT_EQ(rival.stats().recovered, 0);
  EXPECT_EQ(writers(), before) << "a renewal writes to the owner's row alone";
  rival.Stop(absl::ZeroDuration());
  owner.Stop(absl::ZeroDuration());  // ten thousand ends would be no more to the point
  open = true;
  EXPECT_TRUE(Eventually([&] { return ended == kCount; }, absl::Seconds(60)));
}

// Its renewals hang, as those of a process that is frozen. `a` outlasts its lease; `b` would be one step too many.
class FrozenLease : public SagaTest {
 protected:
  FrozenLease() {
    const auto step = [this](const char* name) {
      return [this, name](Context& context) -> async::Task<absl::Status> {
        Note(absl::StrCat(name, context.record.fence));
        if (*name == 'a' && context.record.fence == 1) co_await async::SleepFor(2 * kShortLease);
        co_return absl::OkStatus();
      };
    };
    chain =
        Steps({{.name = "a", .action = step("a"), .timeout = absl::Seconds(60)}, {.name = "b", .action = step("b")}});
  }
  // Runs a saga whose owner cannot renew its lease before it has tried `a`, nor for half a second after, nor before the
  // rival, where there is one, has ended the saga.
  Outcome RunFrozen(Engine& owner, const Engine* rival = nullptr) {
    EXPECT_TRUE(Eventually([] { return Query("SELECT count(*) FROM saga_owner WHERE owner = 'owner'") == "1"; }));
    pqxx::connection connection(postgres_options.uri);
    auto holder = std::make_unique<pqxx::work>(connection);
    holder->exec("SELECT FROM saga_owner WHERE owner = 'owner' FOR UPDATE");
    std::thread thaw([&] {
      absl::SleepFor(2 * kShortLease + absl::Milliseconds(500));
      if (rival != nullptr) EXPECT_TRUE(Eventually([&] { return rival->stats().completed == 1; }));
      EXPECT_THAT(Journal(), testing::Not(testing::Contains("b1"))) << "tried before it had looked";
      holder.reset();
    });
    BeginAs("owner", {MakeRecord("1")}, kShortLease);
    const Outcome outcome = async::BlockOn(executor, owner.Run(MakeRecord("1")));
    thaw.join();
    return outcome;
  }
  Definition chain;
};

TEST_F(FrozenLease, WhoHasLostASagaTriesNoStepMore) {
  async::ThreadExecutor other;
  Engine owner(Options("owner", kShortLease), {chain}), rival(Options("rival"), {chain});
  rival.StartRecovery({&other});
  EXPECT_EQ(RunFrozen(owner, &rival), Outcome::kLost);
  EXPECT_THAT(Journal(), ElementsAre("a1", "a2", "b2", "paid"));
}

TEST_F(FrozenLease, WhoHasLostNothingGoesOn) {
  Engine owner(Options("owner", kShortLease), {chain});
  EXPECT_EQ(RunFrozen(owner), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("a1", "b1", "paid"));
}

}  // namespace
}  // namespace flotilla::saga
