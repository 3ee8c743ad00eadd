// One loader a key: who comes while a key is being loaded waits for that load instead of starting another.
#pragma once

#include <coroutine>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "async/task.h"

namespace flotilla::inventory {

class SingleFlight {
 public:
  struct Claim {
    std::vector<std::string> mine;    // to be loaded by the caller, who then calls End
    std::vector<std::string> others;  // being loaded by someone else: co_await Wait for each
  };
  Claim Begin(std::span<const std::string> keys);
  void End(std::span<const std::string> mine);

  // Goes on when nobody loads the key any more. Only on an executor's thread; resumes there.
  auto Wait(std::string key) {
    struct Awaiter {
      SingleFlight& flight;
      std::string key;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> handle) { return flight.Join(key, handle); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, std::move(key)};
  }

 private:
  struct Waiter {
    std::coroutine_handle<> handle;
    async::Executor* executor;
  };
  bool Join(const std::string& key, std::coroutine_handle<> handle);

  std::mutex mutex_;
  absl::flat_hash_map<std::string, std::vector<Waiter>> loading_;
};

}  // namespace flotilla::inventory
