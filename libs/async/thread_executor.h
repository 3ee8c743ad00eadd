// An executor on a plain thread, for coroutines that make no gRPC calls themselves (tests, background loops).
#pragma once

#include <memory>
#include <semaphore>

#include "async/task.h"

namespace flotilla::async {

class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor();
  // Runs what is due, drops timers, joins.
  ~ThreadExecutor() override;
  void Post(std::coroutine_handle<> handle) override;
  void PostMany(std::span<const std::coroutine_handle<>> handles) override;
  void PostAt(SteadyTime when, std::coroutine_handle<> handle) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs `task` on `executor` and blocks this thread (which must not be the executor's) until it has ended.
template <class T>
T BlockOn(Executor& executor, Task<T> task) {
  std::optional<T> out;
  std::binary_semaphore done(0);
  Spawn(executor, [](Task<T> t, std::optional<T>& o, std::binary_semaphore& d) -> Task<void> {
    o.emplace(co_await std::move(t));
    d.release();
  }(std::move(task), out, done));
  done.acquire();
  return std::move(*out);
}

inline void BlockOn(Executor& executor, Task<void> task) {
  std::binary_semaphore done(0);
  Spawn(executor, [](Task<void> t, std::binary_semaphore& d) -> Task<void> {
    co_await std::move(t);
    d.release();
  }(std::move(task), done));
  done.acquire();
}

}  // namespace flotilla::async
