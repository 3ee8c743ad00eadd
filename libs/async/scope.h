// Which span of a trace a coroutine works for. A task inherits it from whoever awaits it, so that no signature has to
// carry it; what it means is tracing's business (tracing/span.h).
#pragma once

#include <coroutine>

namespace flotilla::tracing {
struct Scope;
}

namespace flotilla::async {

// The base of every promise here.
struct Scoped {
  const tracing::Scope* scope = nullptr;  // null: of none. It outlives the coroutine, or is set to null before it ends.
};

template <class Promise>
const tracing::Scope* ScopeOf(std::coroutine_handle<Promise> coroutine) noexcept {
  if constexpr (requires { coroutine.promise().scope; }) {
    return coroutine.promise().scope;
  } else {
    return nullptr;
  }
}

namespace internal {
struct ScopeReader {
  const tracing::Scope* scope = nullptr;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    scope = ScopeOf(coroutine);
    return false;
  }
  const tracing::Scope* await_resume() const noexcept { return scope; }
};

struct ScopeSetter {
  const tracing::Scope* scope;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) const noexcept {
    coroutine.promise().scope = scope;
    return false;
  }
  void await_resume() const noexcept {}
};
}  // namespace internal

// co_await CurrentScope(): the coroutine's own. Does not suspend.
inline internal::ScopeReader CurrentScope() noexcept { return {}; }

// co_await SetScope(scope): of the coroutine, and of the tasks that it awaits from now on. Does not suspend.
inline internal::ScopeSetter SetScope(const tracing::Scope* scope) noexcept { return {scope}; }

}  // namespace flotilla::async
