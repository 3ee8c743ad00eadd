// Coalesces requests for a blocking resource (a database connection, a Redis connection).
//
// A traced request's span lasts from its call to its answer, the wait for its batch included.
//
// While a worker's flush is in flight the next requests gather; when it returns they go together. No timers: at low
// load a request waits for nothing, at high load the batch grows by itself up to max_batch.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/waiter.h"
#include "tracing/span.h"

namespace flotilla::batch {

struct WorkerOptions {
  std::string name;               // of the threads and metrics, for example "reserve"
  int workers = 1;                // threads, each with its own flush function
  std::size_t max_batch = 256;    // requests a flush
  std::size_t max_queue = 16384;  // waiting requests; beyond that RESOURCE_EXHAUSTED at once
};

template <class Request, class Response>
class WorkerBatcher {
 public:
  using Results = std::vector<absl::StatusOr<Response>>;
  // Blocking; answers each request, in order. A result list of another length fails the whole batch with INTERNAL.
  using Flush = std::function<Results(const std::vector<Request>&)>;

  // `make_flush` is called once a worker, on the worker's thread, so a connection can live in the closure.
  WorkerBatcher(WorkerOptions options, std::function<Flush(int worker)> make_flush)
      : options_(std::move(options)), make_flush_(std::move(make_flush)) {
    for (int i = 0; i < options_.workers; ++i) threads_.emplace_back([this, i] { Work(i); });
  }
  // Flushes what waits, then joins.
  ~WorkerBatcher() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
  }
  WorkerBatcher(const WorkerBatcher&) = delete;
  WorkerBatcher& operator=(const WorkerBatcher&) = delete;

  // Resumes on the caller's executor. A request that was accepted is always answered. RESOURCE_EXHAUSTED: queue full.
  async::Task<absl::StatusOr<Response>> Call(Request request) {
    Waiter waiter(std::move(request));
    waiter.scope = co_await async::CurrentScope();
    tracing::Span span(options_.name, tracing::Kind::kInternal, waiter.scope);
    co_await Enqueue{*this, waiter};
    span.End(waiter.result.status());
    co_return std::move(waiter.result);
  }

  std::size_t QueueLength() const {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  using Waiter = internal::Waiter<Request, Response>;
  struct Enqueue {
    WorkerBatcher& batcher;
    Waiter& waiter;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      bool wake;
      {
        std::lock_guard lock(batcher.mutex_);
        if (batcher.stopping_ || batcher.queue_.size() >= batcher.options_.max_queue) {
          waiter.result = batcher.stopping_ ? absl::UnavailableError(batcher.options_.name + ": shutting down")
                                            : absl::ResourceExhaustedError(batcher.options_.name + ": queue full");
          return false;
        }
        waiter.handle = handle;
        batcher.queue_.push_back(&waiter);
        wake = batcher.idle_ > 0;
      }
      // `waiter` and `this` may be gone from here on.
      if (wake) batcher.wake_.notify_one();
      return true;
    }
    void await_resume() const noexcept {}
  };

  void Work(int index) {
    const Flush flush = make_flush_(index);
    while (auto batch = WaitForBatch()) batch->Answer(flush(batch->requests), options_.name);
  }

  // None once the batcher is being destroyed and nobody waits.
  std::optional<internal::Batch<Request, Response>> WaitForBatch() {
    std::unique_lock lock(mutex_);
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return std::nullopt;
    return internal::Batch<Request, Response>(queue_, options_.max_batch);
  }

  const WorkerOptions options_;
  const std::function<Flush(int)> make_flush_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiter*> queue_;
  int idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace flotilla::batch
