// Coroutine tasks and the executor they run on.
//
// Task<T> is lazy: it starts when it is awaited, runs on the awaiting coroutine's thread and resumes it by symmetric
// transfer. A Task owns its frame. Parameters of a coroutine are taken by value unless the caller awaits it at once.
// Exceptions are not used for errors (absl::Status is); one that escapes a Task is rethrown at its co_await.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "async/scope.h"
#include "async/steady_time.h"

namespace flotilla::async {

// Runs coroutines on one thread of its own. Everything is callable from any thread. An executor outlives every
// coroutine that was posted to it.
class Executor {
 public:
  virtual ~Executor() = default;
  // Resumes `handle` on the executor's thread, soon, in order of posting.
  virtual void Post(std::coroutine_handle<> handle) = 0;
  // Posts many with one wake-up.
  virtual void PostMany(std::span<const std::coroutine_handle<>> handles) = 0;
  // Resumes `handle` at `when` or soon after.
  virtual void PostAt(SteadyTime when, std::coroutine_handle<> handle) = 0;

  // The executor whose thread this is, or null on any other thread.
  static Executor* Current() noexcept { return current_; }

 protected:
  static void SetCurrent(Executor* executor) noexcept { current_ = executor; }

 private:
  static inline thread_local Executor* current_ = nullptr;
};

template <class T>
class Task;

namespace internal {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> h) const noexcept {
    return h.promise().continuation ? h.promise().continuation : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

template <class T>
struct TaskPromise : Scoped {
  std::coroutine_handle<> continuation;
  std::variant<std::monostate, T, std::exception_ptr> result;

  Task<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { result.template emplace<2>(std::current_exception()); }
  template <class U>
  void return_value(U&& value) {
    result.template emplace<1>(std::forward<U>(value));
  }
  T Take() {
    if (result.index() == 2) std::rethrow_exception(std::get<2>(result));
    return std::move(std::get<1>(result));
  }
};

template <>
struct TaskPromise<void> : Scoped {
  std::coroutine_handle<> continuation;
  std::exception_ptr error;

  Task<void> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
  void return_void() const noexcept {}
  void Take() {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept { return Awaiter{handle_}; }

 private:
  struct Awaiter {
    std::coroutine_handle<promise_type> handle;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) const noexcept {
      handle.promise().continuation = awaiting;
      handle.promise().scope = ScopeOf(awaiting);
      return handle;
    }
    T await_resume() const { return handle.promise().Take(); }
  };

  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace internal {
template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// A root: owns itself, dies at its end. An exception that reaches it ends the process, as from a thread's function.
struct Root {
  struct promise_type : Scoped {
    Root get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void unhandled_exception() const noexcept { std::terminate(); }
    void return_void() const noexcept {}
  };
};

struct PostAwaiter {
  Executor& executor;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const { executor.Post(h); }
  void await_resume() const noexcept {}
};
}  // namespace internal

// co_await SwitchTo(executor): the rest of the coroutine runs on that executor's thread.
inline internal::PostAwaiter SwitchTo(Executor& executor) noexcept { return {executor}; }

// Starts `task` here and now, on this thread, detached.
inline void Start(Task<void> task, const tracing::Scope* scope = nullptr) {
  [](Task<void> t, const tracing::Scope* s) -> internal::Root {
    co_await SetScope(s);
    co_await std::move(t);
  }(std::move(task), scope);
}

// Starts `task` on `executor`, detached.
inline void Spawn(Executor& executor, Task<void> task) {
  [](Executor& e, Task<void> t) -> internal::Root {
    co_await SwitchTo(e);
    co_await std::move(t);
  }(executor, std::move(task));
}

// co_await SleepFor(d): goes on after `d` on the same executor. Only on an executor's thread.
inline auto SleepFor(absl::Duration duration) noexcept {
  struct Awaiter {
    absl::Duration duration;
    bool await_ready() const noexcept { return duration <= absl::ZeroDuration(); }
    void await_suspend(std::coroutine_handle<> h) const { Executor::Current()->PostAt(After(duration), h); }
    void await_resume() const noexcept {}
  };
  return Awaiter{duration};
}

// Runs all tasks concurrently on this executor's thread; results in the order of the tasks. Only on an executor's
// thread.
template <class T>
Task<std::vector<T>> WhenAll(std::vector<Task<T>> tasks) {
  struct Join {
    std::vector<std::optional<T>> results;
    std::size_t pending;
    std::coroutine_handle<> awaiting;
    std::vector<Task<T>>& tasks;
    const tracing::Scope* scope;
    bool await_ready() const noexcept { return tasks.empty(); }
    bool await_suspend(std::coroutine_handle<> h) {
      awaiting = h;
      ++pending;  // keeps a task that ends at once from resuming us before all have started
      for (std::size_t i = 0; i < tasks.size(); ++i) {
        Start(
            [](Join& join, Task<T> task, std::size_t index) -> Task<void> {
              join.results[index].emplace(co_await std::move(task));
              if (--join.pending == 0) join.awaiting.resume();
            }(*this, std::move(tasks[i]), i),
            scope);
      }
      return --pending != 0;
    }
    void await_resume() const noexcept {}
  };
  const tracing::Scope* const scope = co_await CurrentScope();
  Join join{std::vector<std::optional<T>>(tasks.size()), tasks.size(), {}, tasks, scope};
  co_await join;
  std::vector<T> out;
  out.reserve(join.results.size());
  for (auto& result : join.results) out.push_back(std::move(*result));
  co_return out;
}

}  // namespace flotilla::async
