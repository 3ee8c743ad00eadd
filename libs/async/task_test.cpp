#include "async/task.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

#include "async/thread_executor.h"
#include "gtest/gtest.h"

namespace flotilla::async {
namespace {

Task<int> Add(int a, int b) { co_return a + b; }
Task<std::unique_ptr<std::string>> Own(std::string text) { co_return std::make_unique<std::string>(std::move(text)); }
Task<int> Throw() {
  throw std::runtime_error("boom");
  co_return 0;
}

TEST(Task, ResultsAndMoveOnlyTypes) {
  ThreadExecutor executor;
  EXPECT_EQ(BlockOn(executor, Add(1, 2)), 3);
  EXPECT_EQ(*BlockOn(executor, Own("text")), "text");
}

TEST(Task, ExceptionReachesTheAwaiter) {
  ThreadExecutor executor;
  const bool caught = BlockOn(executor, []() -> Task<bool> {
    try {
      co_await Throw();
    } catch (const std::runtime_error&) {
      co_return true;
    }
    co_return false;
  }());
  EXPECT_TRUE(caught);
}

TEST(Task, DeepChainsDoNotUseTheStack) {
  ThreadExecutor executor;
  const int sum = BlockOn(executor, []() -> Task<int> {
    int total = 0;
    for (int i = 0; i < 100000; ++i) total = co_await Add(total, 1);
    co_return total;
  }());
  EXPECT_EQ(sum, 100000);
}

TEST(Task, UnstartedTaskIsDestroyed) { [[maybe_unused]] auto task = Own("never awaited"); }

TEST(Task, WhenAllRunsTogether) {
  ThreadExecutor executor;
  int started = 0;
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 50; ++i) {
    // None ends before all have started: one after the other they would never end.
    tasks.push_back([](int index, int& count) -> Task<int> {
      ++count;
      while (count < 50) co_await async::SleepFor(absl::Milliseconds(1));
      co_return index + 1;
    }(i, started));
  }
  const std::vector<int> results = BlockOn(executor, WhenAll(std::move(tasks)));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(results[i], i + 1);
  EXPECT_TRUE(BlockOn(executor, WhenAll(std::vector<Task<int>>{})).empty());
}

TEST(Task, SwitchToMovesToTheOtherExecutor) {
  ThreadExecutor one, two;
  const bool moved = BlockOn(one, [](Executor& from, Executor& to) -> Task<bool> {
    const bool before = Executor::Current() == &from;
    co_await SwitchTo(to);
    co_return before&& Executor::Current() == &to;
  }(one, two));
  EXPECT_TRUE(moved);
  EXPECT_EQ(Executor::Current(), nullptr);
}

}  // namespace
}  // namespace flotilla::async
