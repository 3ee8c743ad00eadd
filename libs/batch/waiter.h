// What both batchers share: requests that wait in a queue, and how they are answered.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "async/resumption.h"
#include "async/task.h"

namespace flotilla::batch::internal {

// Lives in the frame of the coroutine that waits.
template <class Request, class Response>
struct Waiter {
  explicit Waiter(Request r) : request(std::move(r)) {}
  Request request;
  absl::StatusOr<Response> result = absl::UnknownError("not flushed");
  std::coroutine_handle<> handle;
  const tracing::Scope* scope = nullptr;
  async::Executor* executor = async::Executor::Current();
};

// The first waiters of a queue, at most `max`, with their requests; the caller holds the queue's lock.
template <class Request, class Response>
struct Batch {
  Batch(std::deque<Waiter<Request, Response>*>& queue, std::size_t max) {
    const std::size_t size = std::min(queue.size(), max);
    waiters.reserve(size);
    requests.reserve(size);
    for (; waiters.size() < size; queue.pop_front()) {
      waiters.push_back(queue.front());
      requests.push_back(std::move(queue.front()->request));
    }
  }

  // Resumes the waiters, one wake-up an executor. A list of another length fails them all.
  void Answer(std::vector<absl::StatusOr<Response>> results, const std::string& batcher) {
    async::Resumption resumption;
    for (std::size_t i = 0; i < waiters.size(); ++i) {
      waiters[i]->result = results.size() == waiters.size() ? std::move(results[i])
                                                            : absl::InternalError(batcher + ": wrong result count");
      resumption.Add(waiters[i]->executor, waiters[i]->handle);
    }
  }

  std::vector<Waiter<Request, Response>*> waiters;
  std::vector<Request> requests;
};

}  // namespace flotilla::batch::internal
