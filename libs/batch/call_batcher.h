// Coalesces requests for an asynchronous call (a batch RPC). Same rule as worker_batcher.h: while max_in_flight flushes
// are under way the next requests gather; when one returns they go together.
//
// Requests with a member `deadline` (absl::Time) do not travel in vain: one whose deadline has passed is answered
// DEADLINE_EXCEEDED, not sent. While the oldest are nearly late, and do not all fit, the newest go first: in the order
// of arrival each would be sent so late that its answer came too late, and a slow link would let none succeed.
#pragma once

#include <algorithm>
#include <concepts>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "async/resumption.h"
#include "async/task.h"
#include "batch/waiter.h"
#include "tracing/span.h"

namespace flotilla::batch {

struct CallOptions {
  std::string name;
  int max_in_flight = 2;          // flushes at once
  std::size_t max_batch = 256;    // requests a flush
  std::size_t max_queue = 16384;  // waiting requests; beyond that RESOURCE_EXHAUSTED at once
};

template <class Request>
concept HasDeadline = requires(const Request& request) {
  { request.deadline } -> std::convertible_to<absl::Time>;
};

inline constexpr absl::Duration kNearlyLate = absl::Seconds(1);

template <class Request, class Response>
class CallBatcher {
 public:
  using Results = std::vector<absl::StatusOr<Response>>;
  // Answers each request, in order. A result list of another length fails the whole batch with INTERNAL.
  using Flush = std::function<async::Task<Results>(std::vector<Request>)>;

  CallBatcher(CallOptions options, Flush flush) : options_(std::move(options)), flush_(std::move(flush)) {}
  CallBatcher(const CallBatcher&) = delete;
  CallBatcher& operator=(const CallBatcher&) = delete;

  // Only on an executor's thread; resumes there. RESOURCE_EXHAUSTED: queue full.
  async::Task<absl::StatusOr<Response>> Call(Request request) {
    Waiter waiter(std::move(request));
    waiter.scope = co_await async::CurrentScope();
    co_await Enqueue{*this, waiter};
    co_return std::move(waiter.result);
  }

 private:
  using Waiter = internal::Waiter<Request, Response>;
  using Batch = internal::Batch<Request, Response>;
  struct Enqueue {
    CallBatcher& batcher;
    Waiter& waiter;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      bool start;
      CallBatcher& b = batcher;
      {
        std::lock_guard lock(b.mutex_);
        if (b.queue_.size() >= b.options_.max_queue) {
          waiter.result = absl::ResourceExhaustedError(b.options_.name + ": queue full");
          return false;
        }
        waiter.handle = handle;
        b.queue_.push_back(&waiter);
        start = b.in_flight_ < b.options_.max_in_flight;
        if (start) ++b.in_flight_;
      }
      // Posted, not run here: what this loop turn still brings joins the same batch.
      if (start) async::Spawn(*async::Executor::Current(), b.Drain());
      return true;
    }
    void await_resume() const noexcept {}
  };

  async::Task<void> Drain() {
    for (;;) {
      auto batch = TakeBatch();
      if (!batch.has_value()) co_return;
      tracing::Span span = SpanOf(*batch);
      co_await async::SetScope(span.scope());
      Results results = co_await flush_(std::move(batch->requests));
      span.End(absl::OkStatus());  // each result has its own
      batch->Answer(std::move(results), options_.name);
    }
  }

  // One span for all: in the trace of the first traced request, with links to the others.
  tracing::Span SpanOf(const Batch& batch) const {
    tracing::Span span;
    for (const Waiter* waiter : batch.waiters) {
      if (waiter->scope == nullptr) continue;
      if (span.scope() == nullptr) {
        span = tracing::Span(options_.name, tracing::Kind::kInternal, waiter->scope);
      } else {
        span.Link(*waiter->scope);
      }
    }
    return span;
  }

  // None where nobody waits: this drain ends.
  std::optional<Batch> TakeBatch() {
    std::vector<Waiter*> late;
    std::optional<Batch> batch;
    {
      std::lock_guard lock(mutex_);
      if constexpr (HasDeadline<Request>) late = SortOut(absl::Now());
      if (queue_.empty()) {
        --in_flight_;
      } else {
        batch.emplace(queue_, options_.max_batch);
      }
    }
    async::Resumption resumption;
    for (Waiter* waiter : late) {
      waiter->result = absl::DeadlineExceededError(options_.name + ": not sent, the deadline has passed");
      resumption.Add(waiter->executor, waiter->handle);
    }
    return batch;
  }

  // With the lock held. Takes out whose deadline has passed, and puts first what is to go next.
  std::vector<Waiter*> SortOut(absl::Time now) {
    std::vector<Waiter*> late;
    for (; !queue_.empty() && queue_.front()->request.deadline <= now; queue_.pop_front()) {
      late.push_back(queue_.front());
    }
    if (queue_.size() > options_.max_batch && queue_.front()->request.deadline < now + kNearlyLate) {
      std::rotate(queue_.begin(), queue_.end() - static_cast<std::ptrdiff_t>(options_.max_batch), queue_.end());
    }
    return late;
  }

  const CallOptions options_;
  const Flush flush_;
  std::mutex mutex_;
  std::deque<Waiter*> queue_;
  int in_flight_ = 0;
};

}  // namespace flotilla::batch
