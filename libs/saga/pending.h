// The calls of a saga's steps that are under way, with their deadlines. One that outlasts its deadline is given up: the
// saga goes on without its answer, and the call ends by itself, in a frame of its own, whenever it may. Part of the
// engine.
#pragma once

#include <atomic>
#include <coroutine>
#include <utility>

#include "absl/status/status.h"
#include "async/scope.h"
#include "async/steady_time.h"
#include "async/task.h"

namespace flotilla::saga {

// A call whose end a saga awaits, in the saga's frame.
struct PendingCall {
  async::SteadyTime due;
  absl::Status status = {};
  bool given_up = false;
  std::coroutine_handle<> saga = {};
  PendingCall** link = nullptr;  // the call's own pointer to this one
  PendingCall* next = nullptr;
};

// Only on the saga's executor, except where it says otherwise. Several where steps are concurrent.
class PendingCalls {
 public:
  void Add(PendingCall& call);
  // The call has ended: whom to resume.
  std::coroutine_handle<> End(PendingCall& call, absl::Status status);
  // Resumes the sagas of those that are overdue, with DEADLINE_EXCEEDED; returns how many there were.
  int GiveUpOverdue();

  // From any thread.
  bool Overdue(async::SteadyTime now) const { return due_.load(std::memory_order_relaxed) <= now; }
  // From any thread. Where a call is overdue: the executor on which GiveUpOverdue() is to run, once for each time.
  async::Executor* TakeOverdue(async::SteadyTime now);

 private:
  void Remove(PendingCall& call);
  void SetDue();

  PendingCall* first_ = nullptr;
  async::Executor* executor_ = nullptr;
  std::atomic<async::SteadyTime> due_ = async::kNever;  // the first deadline
};

// A coroutine that owns itself and, at its end, resumes whom it returns. It begins where its handle is resumed.
struct DetachedCall {
  struct promise_type : async::Scoped {
    std::coroutine_handle<> then;

    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        const std::coroutine_handle<> next = self.promise().then;
        self.destroy();
        return next;
      }
      void await_resume() const noexcept {}
    };
    DetachedCall get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void unhandled_exception() const noexcept { std::terminate(); }
    void return_value(std::coroutine_handle<> next) noexcept { then = next; }
  };
  std::coroutine_handle<promise_type> handle;
};

}  // namespace flotilla::saga
