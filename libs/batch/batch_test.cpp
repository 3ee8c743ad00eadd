#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>

#include "async/thread_executor.h"
#include "batch/call_batcher.h"
#include "batch/worker_batcher.h"
#include "gtest/gtest.h"

namespace flotilla::batch {
namespace {

using Worker = WorkerBatcher<int, int>;

Worker::Results Double(const std::vector<int>& requests) {
  Worker::Results results;
  for (int r : requests) results.push_back(r < 0 ? absl::StatusOr<int>(absl::InvalidArgumentError("negative")) : 2 * r);
  return results;
}

TEST(WorkerBatcher, EveryRequestGetsItsOwnAnswer) {
  async::ThreadExecutor executor;
  Worker batcher({.name = "t", .workers = 2, .max_batch = 7}, [](int) { return Double; });
  std::vector<async::Task<absl::StatusOr<int>>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(batcher.Call(i % 10 == 3 ? -1 : i));
  const auto results = async::BlockOn(executor, async::WhenAll(std::move(calls)));
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 3) {
      EXPECT_EQ(results[i].status().code(), absl::StatusCode::kInvalidArgument);
    } else {
      EXPECT_EQ(*results[i], 2 * i);
    }
  }
}

TEST(WorkerBatcher, RequestsGatherWhileAFlushIsInFlight) {
  async::ThreadExecutor executor;
  std::binary_semaphore first_started(0), go(0);
  std::vector<std::size_t> sizes;
  Worker batcher({.name = "t", .max_batch = 64}, [&](int) {
    return [&](const std::vector<int>& requests) {
      sizes.push_back(requests.size());
      if (sizes.size() == 1) {
        first_started.release();
        go.acquire();
      }
      return Double(requests);
    };
  });
  async::Spawn(executor, [](Worker& b) -> async::Task<void> { (void)co_await b.Call(0); }(batcher));
  first_started.acquire();
  std::thread release([&] {
    while (batcher.QueueLength() < 60) std::this_thread::yield();
    go.release();
  });
  std::vector<async::Task<absl::StatusOr<int>>> calls;
  for (int i = 0; i < 60; ++i) calls.push_back(batcher.Call(i));
  async::BlockOn(executor, async::WhenAll(std::move(calls)));
  release.join();
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 60}));
}

TEST(WorkerBatcher, FullQueueRefusesAtOnce) {
  async::ThreadExecutor executor;
  std::binary_semaphore go(0);
  std::atomic<int> refused = 0;
  {
    Worker batcher({.name = "t", .max_batch = 1, .max_queue = 3}, [&](int) {
      return [&, first = true](const std::vector<int>& requests) mutable {
        if (std::exchange(first, false)) go.acquire();
        return Double(requests);
      };
    });
    std::vector<async::Task<absl::StatusOr<int>>> calls;
    for (int i = 0; i < 20; ++i) {
      calls.push_back(
          [](Worker& b, int n, std::atomic<int>& r, std::binary_semaphore& g) -> async::Task<absl::StatusOr<int>> {
            auto result = co_await b.Call(n);
            if (absl::IsResourceExhausted(result.status()) && ++r == 16) g.release();
            co_return result;
          }(batcher, i, refused, go));
    }
    async::BlockOn(executor, async::WhenAll(std::move(calls)));
  }
  EXPECT_GE(refused, 16);
  EXPECT_LE(refused, 17);
}

TEST(WorkerBatcher, WrongResultCountIsAnError) {
  async::ThreadExecutor executor;
  Worker batcher({.name = "t"}, [](int) { return [](const std::vector<int>&) { return Worker::Results{}; }; });
  EXPECT_TRUE(absl::IsInternal(async::BlockOn(executor, batcher.Call(1)).status()));
}

TEST(WorkerBatcher, DestructionAnswersWhatWaits) {
  async::ThreadExecutor executor;
  std::atomic<int> answered = 0;
  std::binary_semaphore go(0);
  std::thread release;
  {
    Worker batcher({.name = "t", .max_batch = 2}, [&](int) {
      return [&, first = true](const std::vector<int>& requests) mutable {
        if (std::exchange(first, false)) go.acquire();
        return Double(requests);
      };
    });
    for (int i = 0; i < 50; ++i) {
      async::Spawn(executor, [](Worker& b, int n, std::atomic<int>& a) -> async::Task<void> {
        if ((co_await b.Call(n)).ok()) ++a;
      }(batcher, i, answered));
    }
    while (batcher.QueueLength() < 48) std::this_thread::yield();
    // The destructor is waiting by the time the first flush goes on.
    release = std::thread([&go] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      go.release();
    });
  }
  release.join();
  while (answered < 50) std::this_thread::yield();
}

TEST(CallBatcher, CoalescesAndAnswersInOrder) {
  async::ThreadExecutor executor;
  int flushes = 0;
  CallBatcher<int, int> batcher({.name = "t", .max_in_flight = 1, .max_batch = 256},
                                [&](std::vector<int> requests) -> async::Task<Worker::Results> {
                                  ++flushes;
                                  co_await async::SleepFor(absl::Milliseconds(5));
                                  co_return Double(requests);
                                });
  std::vector<async::Task<absl::StatusOr<int>>> calls;
  for (int i = 0; i < 200; ++i) calls.push_back(batcher.Call(i));
  const auto results = async::BlockOn(executor, async::WhenAll(std::move(calls)));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(*results[i], 2 * i);
  EXPECT_LE(flushes, 2);
}

struct Timed {
  int number;
  absl::Time deadline;
};

// Batches of two, one after the other, noted in `sent`.
std::unique_ptr<CallBatcher<Timed, int>> Noting(std::vector<std::vector<int>>& sent) {
  return std::make_unique<CallBatcher<Timed, int>>(
      CallOptions{.name = "t", .max_in_flight = 1, .max_batch = 2},
      [&sent](std::vector<Timed> requests) -> async::Task<Worker::Results> {
        sent.emplace_back();
        Worker::Results results;
        for (const Timed& request : requests) {
          sent.back().push_back(request.number);
          results.emplace_back(request.number);
        }
        co_await async::SleepFor(absl::Milliseconds(1));
        co_return results;
      });
}

TEST(CallBatcher, WhatIsTooLateIsNotSentAndTheNewestGoFirstWhereTheOldestNearlyAre) {
  async::ThreadExecutor executor;
  std::vector<std::vector<int>> sent;
  const auto batcher = Noting(sent);
  const absl::Time now = absl::Now();
  std::vector<async::Task<absl::StatusOr<int>>> calls;
  calls.push_back(batcher->Call({0, now - absl::Seconds(1)}));
  calls.push_back(batcher->Call({1, now + kNearlyLate - absl::Milliseconds(10)}));
  for (int i = 2; i < 6; ++i) calls.push_back(batcher->Call({i, now + absl::Minutes(1)}));
  const auto results = async::BlockOn(executor, async::WhenAll(std::move(calls)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(results[0].status()));
  EXPECT_EQ(sent.front(), (std::vector<int>{4, 5}));
  for (const auto& batch : sent) EXPECT_EQ(std::count(batch.begin(), batch.end(), 0), 0);
}

TEST(CallBatcher, InTheOrderOfArrivalWhileNobodyIsNearlyLate) {
  async::ThreadExecutor executor;
  std::vector<std::vector<int>> sent;
  const auto batcher = Noting(sent);
  std::vector<async::Task<absl::StatusOr<int>>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(batcher->Call({i, absl::Now() + absl::Minutes(1)}));
  async::BlockOn(executor, async::WhenAll(std::move(calls)));
  EXPECT_EQ(sent, (std::vector<std::vector<int>>{{0, 1}, {2, 3}, {4, 5}}));
}

}  // namespace
}  // namespace flotilla::batch
