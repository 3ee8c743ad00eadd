// Operators' acts on parked sagas, with engines on two instances.
#include "saga/admin.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "errors/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "postgres/test_database.h"
#include "saga/migrations.h"
#include "saga/saga.h"
#include "testing/eventually.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

class AdminTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    const absl::Status status = postgres::Migrate(database->options(), Migrations(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() { delete database; }
  void SetUp() override { database->Query("TRUNCATE saga, saga_history, saga_archive"); }

  // "a" can be undone, "p" is the pivot, "b" comes behind it; each is down while its switch is.
  Definition Chain() {
    const auto step = [this](const char* name, std::atomic<bool>& down) {
      Step made{.name = name, .retry = {.initial = absl::Milliseconds(1), .max_attempts = 2}};
      made.action = [&down](Context&) -> async::Task<absl::Status> {
        co_return down.load() ? absl::UnavailableError("down") : absl::OkStatus();
      };
      made.compensation = [this](Context&) -> async::Task<absl::Status> {
        ++undone;
        co_return absl::OkStatus();
      };
      return made;
    };
    Definition definition;
    definition.type = "chain";
    definition.steps = {step("a", a_down), step("p", p_down), step("b", b_down)};
    definition.steps[1].pivot = true;
    definition.finish_forward = definition.finish_compensated = [](Context& context) -> async::Task<absl::Status> {
      thread_local postgres::Session session(database->options());
      std::vector<std::string> ended;
      const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
        ended = End(transaction, {&context.record, 1});
        return absl::OkStatus();
      });
      co_return !status.ok() ? status : ended.empty() ? Lost() : absl::OkStatus();
    };
    return definition;
  }
  static EngineOptions Options(const std::string& owner) {
    return {.postgres = database->options(), .owner = owner, .scan_interval = absl::Milliseconds(50)};
  }
  // Ids are used once: acts cannot be deleted.
  void Begin(const std::string& id) {
    postgres::Session session(database->options());
    Record record;
    record.id = id;
    record.type = "chain";
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      saga::Begin(transaction, {&record, 1}, "dead", -absl::Seconds(1));
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status Do(Act act, const std::string& id, const std::string& note = "why") {
    return async::BlockOn(caller, admin.Do(act, {"chain", id}, "olga", note));
  }
  SagaDetail Get(const std::string& id) {
    const auto detail = async::BlockOn(caller, admin.Get({"chain", id}));
    EXPECT_TRUE(detail.ok()) << detail.status();
    return detail.value_or(SagaDetail{});
  }
  void AwaitState(const std::string& id, State state) {
    EXPECT_TRUE(Eventually([&] {
      const auto detail = async::BlockOn(caller, admin.Get({"chain", id}));
      return detail.ok() && detail->saga.state == state;
    }));
  }

  static inline postgres::TestDatabase* database = nullptr;
  std::atomic<bool> a_down = false, p_down = false, b_down = false;
  std::atomic<int> undone = 0;
  async::ThreadExecutor caller, one_executor, two_executor;
  Admin admin{database->options()};
};

TEST_F(AdminTest, ARetriedSagaGoesOnWhereItWasOnAnyInstance) {
  Engine one(Options("one"), {Chain()}), two(Options("two"), {Chain()});
  one.StartRecovery({&one_executor});
  two.StartRecovery({&two_executor});
  b_down = true;
  Begin("retried");
  AwaitState("retried", State::kParked);
  const SagaDetail parked = Get("retried");
  EXPECT_EQ(parked.saga.parked_step, "b");
  EXPECT_EQ(parked.saga.error, "UNAVAILABLE: down");
  EXPECT_FALSE(parked.saga.compensable);
  EXPECT_EQ(errors::Reason(Do(Act::kCompensate, "retried")), "SAGA_PAST_PIVOT");
  b_down = false;
  EXPECT_TRUE(Do(Act::kRetry, "retried", "b is back").ok());
  AwaitState("retried", State::kEnded);
  EXPECT_TRUE(Eventually([&] { return one.stats().completed + two.stats().completed == 1; }));
  EXPECT_EQ(undone, 0);
  // Failed attempts are written beside the saga, perhaps after what came later.
  // Whoever takes it after the operator takes it from nobody.
  EXPECT_TRUE(Eventually([&] { return Get("retried").history.size() == 4; }));
  const SagaDetail ended = Get("retried");
  std::vector<std::string> seen;
  for (const auto& entry : ended.history) {
    seen.push_back(absl::StrCat(static_cast<int>(entry.kind), " ", entry.step, " ", entry.attempt));
  }
  EXPECT_THAT(seen, testing::UnorderedElementsAre("2  0", "1 b 1", "3 b 0", "4  0"));
  EXPECT_EQ(ended.saga.outcome, Outcome::kCompleted);
  ASSERT_EQ(ended.acts.size(), 1u);
  EXPECT_EQ(ended.acts[0].operator_id, "olga");
  EXPECT_EQ(ended.acts[0].act, Act::kRetry);
  EXPECT_EQ(ended.acts[0].note, "b is back");
}

TEST_F(AdminTest, ACompensatedSagaGoesBack) {
  Engine one(Options("one"), {Chain()});
  one.StartRecovery({&one_executor});
  p_down = true;  // whether the pivot took effect is not known, so it is undone too
  Begin("compensated");
  AwaitState("compensated", State::kParked);
  EXPECT_TRUE(Get("compensated").saga.compensable);
  EXPECT_TRUE(Do(Act::kCompensate, "compensated").ok());
  AwaitState("compensated", State::kEnded);
  EXPECT_TRUE(Eventually([&] { return one.stats().compensated == 1; }));
  EXPECT_EQ(undone, 3);
  EXPECT_TRUE(Eventually([&] { return Get("compensated").saga.outcome == Outcome::kCompensated; }));
}

// The instance that runs it again has seen no trouble of its own.
TEST_F(AdminTest, TheEndOfARetriedSagaIsKnownWhoeverRanIt) {
  Begin("elsewhere");
  database->Query("UPDATE saga SET direction = 2, parked_from = 0, parked_step = 'a'");
  EXPECT_EQ(Get("elsewhere").saga.outcome, std::nullopt);
  EXPECT_TRUE(Do(Act::kRetry, "elsewhere").ok());
  Engine one(Options("one"), {Chain()});
  one.StartRecovery({&one_executor});
  AwaitState("elsewhere", State::kEnded);
  EXPECT_TRUE(Eventually([&] { return Get("elsewhere").saga.outcome == Outcome::kCompleted; }));
}

TEST_F(AdminTest, AllThatAreParkedAreRetriedInPages) {
  for (int i = 0; i < 7; ++i) Begin("all" + std::to_string(i));
  database->Query(
      "UPDATE saga SET direction = 2, parked_from = 1, parked_step = 'a', error = 'down', compensable = true");
  database->Query("UPDATE saga SET parked_step = 'b' WHERE id = 'all0'");
  database->Query("UPDATE saga SET created_at = now() - interval '1 hour' WHERE id <> 'all1'");
  database->Query("UPDATE saga SET direction = 0 WHERE id = 'all2'");
  const auto retry = [&](RetryQuery query) {
    const auto count = async::BlockOn(caller, admin.RetryAll(query, "olga", "payment is back"));
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(-1);
  };
  EXPECT_EQ(retry({.type = "other"}), 0);
  const RetryQuery query{.type = "chain", .parked_step = "a", .min_age = absl::Minutes(30), .limit = 3};
  EXPECT_EQ(retry(query), 3);
  EXPECT_EQ(database->Query("SELECT string_agg(id || direction || fence || owner || error, ',' ORDER BY id) FROM saga "
                            "WHERE lease_until < now() AND troubled"),
            "all312,all412,all512");
  EXPECT_EQ(retry(query), 1);
  EXPECT_EQ(retry(query), 0);
  EXPECT_EQ(database->Query("SELECT string_agg(id, ',' ORDER BY id) FROM saga WHERE direction = 2"), "all0,all1");
  EXPECT_EQ(retry({}), 2);
  // Each has an act of its own.
  EXPECT_EQ(database->Query("SELECT count(DISTINCT id) FROM operator_act WHERE id LIKE 'all%' AND act = 1 AND "
                            "operator = 'olga' AND note = 'payment is back'"),
            "6");
}

TEST_F(AdminTest, AResolvedSagaIsKeptInTheArchive) {
  a_down = true;
  Engine one(Options("one"), {Chain()});
  one.StartRecovery({&one_executor});
  Begin("resolved");
  AwaitState("resolved", State::kParked);
  EXPECT_TRUE(Do(Act::kResolve, "resolved", "settled by hand").ok());
  EXPECT_EQ(database->Query("SELECT count(*) FROM saga"), "0");
  const SagaDetail resolved = Get("resolved");
  EXPECT_EQ(resolved.saga.state, State::kResolved);
  EXPECT_EQ(resolved.saga.parked_step, "a");
  EXPECT_EQ(resolved.acts.back().note, "settled by hand");
  EXPECT_EQ(errors::Reason(Do(Act::kResolve, "resolved")), "UNKNOWN_SAGA");
}

TEST_F(AdminTest, ASagaThatWasClaimedMeanwhileIsLeftAlone) {
  Begin("claimed");
  EXPECT_EQ(errors::Reason(Do(Act::kRetry, "claimed")), "SAGA_NOT_PARKED");
  EXPECT_EQ(errors::Reason(Do(Act::kResolve, "claimed")), "SAGA_NOT_PARKED");
  EXPECT_EQ(errors::Reason(Do(Act::kRetry, "nosuch")), "UNKNOWN_SAGA");
  // One operator retries, an instance claims it and is slow; the other operator comes too late.
  database->Query("UPDATE saga SET direction = 2, parked_from = 0, compensable = true");
  EXPECT_TRUE(Do(Act::kRetry, "claimed").ok());
  postgres::Session session(database->options());
  database->Query("SELECT saga_claim('other', interval '1 minute', ARRAY['chain/1'], 10)");
  EXPECT_EQ(errors::Reason(Do(Act::kCompensate, "claimed")), "SAGA_NOT_PARKED");
  EXPECT_EQ(errors::Reason(Do(Act::kResolve, "claimed")), "SAGA_NOT_PARKED");
  EXPECT_EQ(Get("claimed").saga.owner, "other");
  EXPECT_EQ(Get("claimed").acts.size(), 1u);
}

TEST_F(AdminTest, OfTwoOperatorsAtOnceOneActs) {
  Admin other(database->options());
  async::ThreadExecutor second;
  for (int i = 0; i < 30; ++i) {
    const std::string id = "both" + std::to_string(i);
    Begin(id);
    database->Query("UPDATE saga SET direction = 2, parked_from = 0, compensable = true WHERE id = '" + id + "'");
    absl::Status mine, theirs;
    std::thread thread([&] { theirs = async::BlockOn(second, other.Do(Act::kCompensate, {"chain", id}, "otto", "")); });
    mine = Do(Act::kRetry, id);
    thread.join();
    EXPECT_NE(mine.ok(), theirs.ok()) << mine << theirs;
    EXPECT_EQ(Get(id).acts.size(), 1u);
  }
}

TEST_F(AdminTest, ListsByStateTypeAndAgeInPages) {
  for (int i = 0; i < 5; ++i) Begin(std::to_string(i));
  database->Query("UPDATE saga SET direction = 2, parked_from = 0 WHERE id IN ('1', '3')");
  database->Query("UPDATE saga SET created_at = now() - interval '1 hour' WHERE id IN ('3', '4')");
  const auto ids = [&](SagaQuery query) {
    std::vector<std::string> out;
    const auto sagas = async::BlockOn(caller, admin.List(query));
    EXPECT_TRUE(sagas.ok()) << sagas.status();
    for (const auto& view : *sagas) out.push_back(view.key.id);
    return out;
  };
  EXPECT_THAT(ids({}), ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_THAT(ids({.limit = 2}), ElementsAre("0", "1"));
  EXPECT_THAT(ids({.after = {"chain", "1"}, .limit = 2}), ElementsAre("2", "3"));
  EXPECT_THAT(ids({.state = State::kParked}), ElementsAre("1", "3"));
  EXPECT_THAT(ids({.state = State::kForward, .min_age = absl::Minutes(30)}), ElementsAre("4"));
  EXPECT_THAT(ids({.type = "other"}), ElementsAre());
  EXPECT_EQ(async::BlockOn(caller, admin.Get({"chain", "nosuch"})).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AdminTest, ActsAreListedNewestFirstAndCannotBeChanged) {
  for (const char* id : {"x", "y"}) {
    Begin(id);
    database->Query("UPDATE saga SET direction = 2, parked_from = 0");
    ASSERT_TRUE(Do(Act::kResolve, id, std::string("note ") + id).ok());
  }
  const auto newest = async::BlockOn(caller, admin.Acts({.limit = 1}));
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->at(0).note, "note y");
  const auto next = async::BlockOn(caller, admin.Acts({.before = newest->at(0).sequence, .limit = 1}));
  EXPECT_EQ(next->at(0).note, "note x");
  const auto of_x = async::BlockOn(caller, admin.Acts({.saga = SagaKey{"chain", "x"}}));
  ASSERT_EQ(of_x->size(), 1u);
  EXPECT_EQ(of_x->at(0).operator_id, "olga");
  for (const char* sql : {"UPDATE operator_act SET note = ''", "DELETE FROM operator_act", "TRUNCATE operator_act"}) {
    EXPECT_ANY_THROW(database->Query(sql)) << sql;
  }
}

}  // namespace
}  // namespace flotilla::saga
