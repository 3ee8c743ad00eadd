// Wakes this process's subscribers when their users' lists have grown.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "async/task.h"

namespace flotilla::notify {

class Hub {
 public:
  class Ticket;

  Hub();
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Every wake from now on reaches the ticket: register, then read, then wait.
  std::unique_ptr<Ticket> Register(const std::string& user_id);
  // From any thread, after the news is durable.
  void Wake(const std::vector<std::string>& users);
  void WakeAll();

  // One waiter. Used by one coroutine; lives no longer than the hub.
  class Ticket {
   public:
    ~Ticket();
    // co_await: true where there was a wake since Register or the last Wait; false after some 250 ms without one, so
    // that the waiter can look whether its client is still there. Only on an executor's thread; resumes there.
    auto Wait() {
      struct Awaiter {
        Ticket& ticket;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> handle) { return ticket.Suspend(handle); }
        bool await_resume() { return ticket.Take(); }
      };
      return Awaiter{*this};
    }

   private:
    friend class Hub;
    Ticket(Hub& hub, std::string user_id) : hub_(hub), user_id_(std::move(user_id)) {}
    bool Suspend(std::coroutine_handle<> handle);
    bool Take();

    Hub& hub_;
    const std::string user_id_;
    // The rest under the hub's mutex.
    bool woken_ = false;
    std::coroutine_handle<> waiting_;
    async::Executor* executor_ = nullptr;
  };

 private:
  class Resumption;
  void Tick();

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::unordered_multimap<std::string, Ticket*> tickets_;
  std::thread ticker_;
};

}  // namespace flotilla::notify
