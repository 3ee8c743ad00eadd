// Deadlines of steps and of sagas.
#include "absl/strings/str_cat.h"
#include "saga/saga_fixture.h"

namespace flotilla::saga {
namespace {

using testing::ElementsAre;

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
    co_await async::SleepFor(absl::Milliseconds(1500));
    co_return absl::OkStatus();
  };
  late.steps[0].timeout = absl::Seconds(60);
  late.deadline = absl::Seconds(1);  // the pivot has to begin before it
  Engine other(Options("me"), {late});
  Record record = MakeRecord("2");
  record.type = "late";
  BeginAs("me", {record});
  record.made = async::SteadyNow();  // however long it took to begin it
  EXPECT_EQ(async::BlockOn(executor, other.Run(record)), Outcome::kCompleted);
}

// Once it was tried, nobody knows whether it has taken effect.
TEST_F(SagaTest, ADeadlineDoesNotTurnBackASagaThatHasTriedItsPivot) {
  int attempts = 0;
  Step pivot{.name = "pivot", .compensation = Do("undo pivot"), .pivot = true, .timeout = absl::Seconds(60)};
  pivot.action = [&](Context&) -> async::Task<absl::Status> {
    Note("pivot");
    if (++attempts > 1) co_return absl::OkStatus();
    co_await async::SleepFor(absl::Milliseconds(1500));
    co_return absl::UnavailableError("its answer was lost");
  };
  Definition definition = Steps({{.name = "a", .action = Do("a"), .compensation = Do("undo a")}, pivot});
  definition.deadline = absl::Seconds(1);
  Engine engine(Options("me"), {definition});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
  EXPECT_THAT(Journal(), ElementsAre("a", "pivot", "pivot", "paid"));
}

// A batcher whose connection is half open answers nobody: the saga was stuck for ever.
TEST_F(SagaTest, ACallThatNeverReturnsEndsAtItsDeadline) {
  Gate gate;
  std::atomic<bool> ended = false;
  {
    int calls = 0;
    Step hangs{.name = "a", .timeout = absl::Milliseconds(100)};
    hangs.action = [&, note = std::string("what a call holds lives as long as the call")](
                       Context& context) -> async::Task<absl::Status> {
      if (++calls > 1) co_return absl::OkStatus();
      context.results["a"] = "begun";
      co_await gate.Wait();
      context.results["a"] = absl::StrCat(note, context.record.id);
      ended = true;
      co_return absl::OkStatus();
    };
    const auto show = [this](Context& context) -> async::Task<absl::Status> {
      Note(context.results["a"]);
      co_return absl::OkStatus();
    };
    Engine engine(Options("me"), {Steps({hangs, {.name = "b", .action = show}})});
    BeginAs("me", {MakeRecord("1")});
    EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kCompleted);
    EXPECT_EQ(calls, 2);
    EXPECT_THAT(Journal(), ElementsAre("begun", "paid"));
    EXPECT_TRUE(Eventually([] { return Query("SELECT count(*) FROM saga_history") == "2"; }));
    EXPECT_EQ(Query("SELECT error FROM saga_history WHERE kind = 1").substr(0, 12), "STEP_OVERDUE");
  }
  EXPECT_FALSE(ended);
  gate.Open();  // when even the engine is gone
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
}

TEST_F(SagaTest, CallsThatNeverReturnUseUpTheirAttempts) {
  Gate gate;
  std::atomic<int> begun = 0, ended = 0;
  const auto hang = [&](Context&) -> async::Task<absl::Status> {
    ++begun;
    co_await gate.Wait();
    ++ended;
    co_return absl::OkStatus();
  };
  Engine engine(Options("me"), {Steps({{.name = "a", .action = Do("a"), .timeout = absl::Milliseconds(50)},
                                       {.name = "b",
                                        .action = hang,
                                        .compensation = hang,
                                        .concurrent = true,
                                        .timeout = absl::Milliseconds(50)}})});
  BeginAs("me", {MakeRecord("1")});
  EXPECT_EQ(async::BlockOn(executor, engine.Run(MakeRecord("1"))), Outcome::kParked);
  EXPECT_EQ(Query("SELECT parked_step || ' ' || split_part(error, ':', 1) FROM saga"), "b STEP_OVERDUE");
  EXPECT_EQ(begun, 4);
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return ended == 4; }));
}

// Whichever comes first, the call's end or the end of patience, the saga is resumed once.
TEST_F(SagaTest, AStepThatEndsJustAtItsDeadlineEndsOnce) {
  std::atomic<int> hanging = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string id = std::to_string(round);
    Step close{.name = "a", .timeout = absl::Milliseconds(20)};
    close.action = [round, &hanging](Context&) -> async::Task<absl::Status> {
      ++hanging;
      co_await async::SleepFor(absl::Milliseconds(110 + 4 * round));
      --hanging;
      co_return absl::OkStatus();
    };
    Definition definition = Steps({close});
    definition.steps[0].retry.max_attempts = 1000;
    definition.deadline = absl::Milliseconds(400);
    Engine engine(Options("me"), {definition});
    BeginAs("me", {MakeRecord(id)});
    EXPECT_NE(async::BlockOn(executor, engine.Run(MakeRecord(id))), Outcome::kLost);
  }
  EXPECT_TRUE(Eventually([&] { return hanging == 0; }));
  EXPECT_EQ(Query("SELECT count(*) FROM saga"), "0");
}

}  // namespace
}  // namespace flotilla::saga
