// Tells coroutines of this process the news of the keys they follow.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <coroutine>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "async/resumption.h"
#include "async/steady_time.h"
#include "async/task.h"

namespace flotilla::async {

// `Merge(held, next)` adds `next` to the news that a ticket holds and has not taken yet (std::vector<News>&), and so
// bounds them; a ticket that holds nothing afterwards is not woken.
template <class News, auto Merge>
class Hub {
 public:
  class Ticket;

  Hub() : ticker_([this] { Expire(); }) {}
  ~Hub() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    tick_.notify_all();
    ticker_.join();
  }
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // News that are published from now on reach the ticket: register, then read, then wait.
  std::unique_ptr<Ticket> Register() { return std::unique_ptr<Ticket>(new Ticket(*this)); }
  std::unique_ptr<Ticket> Register(const std::string& key) {
    std::unique_ptr<Ticket> ticket = Register();
    ticket->Follow(key);
    return ticket;
  }

  // From any thread, after what the news tell is durable. Each key with its own news; in their order.
  void Publish(std::span<const std::pair<std::string, News>> all) {
    Resumption resumption;
    std::lock_guard lock(mutex_);
    for (const auto& [key, news] : all) TellFollowers(key, news, resumption);
  }
  void Publish(std::span<const std::string> keys, const News& news) {
    Resumption resumption;
    std::lock_guard lock(mutex_);
    for (const std::string& key : keys) TellFollowers(key, news, resumption);
  }
  void PublishAll(const News& news) {
    Resumption resumption;
    std::lock_guard lock(mutex_);
    for (auto& [key, ticket] : tickets_) Tell(*ticket, news, resumption);
  }
  // Ends the waits for these keys without news: the waiters look for themselves, at what TakeNudged tells. From any
  // thread.
  void Nudge(std::span<const std::string> keys) {
    Resumption resumption;
    std::lock_guard lock(mutex_);
    for (const std::string& key : keys) {
      const auto [begin, end] = tickets_.equal_range(key);
      for (auto it = begin; it != end; ++it) {
        it->second->nudged_.insert(key);
        it->second->interrupted_ = true;
        Resume(*it->second, resumption);
      }
    }
  }

  // One waiter. Used by coroutines of one executor, of which one waits; lives no longer than the hub.
  class Ticket {
   public:
    ~Ticket() {
      std::lock_guard lock(hub_.mutex_);
      while (!keys_.empty()) Remove(*keys_.begin());
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    void Follow(const std::string& key) {
      std::lock_guard lock(hub_.mutex_);
      if (keys_.insert(key).second) hub_.tickets_.emplace(key, this);
    }
    void Unfollow(const std::string& key) {
      std::lock_guard lock(hub_.mutex_);
      if (keys_.contains(key)) Remove(key);
    }
    // co_await: the news since Register or the last Wait; none where it took until `deadline`, Interrupt or Nudge. Only
    // on an executor's thread; resumes there.
    auto Wait(SteadyTime deadline) {
      struct Awaiter {
        Ticket& ticket;
        SteadyTime deadline;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> handle) { return ticket.Suspend(deadline, handle); }
        std::vector<News> await_resume() { return ticket.Take(); }
      };
      return Awaiter{*this, deadline};
    }
    // Which keys were nudged since the last call, of those that are followed; news may have come besides.
    std::set<std::string> TakeNudged() {
      std::lock_guard lock(hub_.mutex_);
      return std::exchange(nudged_, {});
    }
    // Ends the wait that is under way, or else the next one.
    void Interrupt() {
      Resumption resumption;
      std::lock_guard lock(hub_.mutex_);
      interrupted_ = true;
      hub_.Resume(*this, resumption);
    }

   private:
    friend class Hub;
    explicit Ticket(Hub& hub) : hub_(hub) {}

    // Under the hub's mutex. A copy, for the key may be the very one that is erased.
    // NOLINTNEXTLINE(performance-unnecessary-value-param)
    void Remove(std::string key) {
      auto it = hub_.tickets_.equal_range(key).first;
      while (it->second != this) ++it;
      hub_.tickets_.erase(it);
      keys_.erase(key);
      nudged_.erase(key);
    }
    bool Suspend(SteadyTime deadline, std::coroutine_handle<> handle) {
      std::lock_guard lock(hub_.mutex_);
      if (!news_.empty() || interrupted_) return false;
      deadline_ = deadline;
      executor_ = Executor::Current();
      waiting_ = handle;
      hub_.deadlines_.emplace(deadline, this);
      if (deadline < hub_.next_tick_) hub_.tick_.notify_all();
      return true;
    }
    std::vector<News> Take() {
      std::lock_guard lock(hub_.mutex_);
      interrupted_ = false;
      return std::exchange(news_, {});
    }

    Hub& hub_;
    // The rest under the hub's mutex.
    std::set<std::string> keys_;
    std::vector<News> news_;
    std::set<std::string> nudged_;  // of keys_
    bool interrupted_ = false;
    std::coroutine_handle<> waiting_;
    Executor* executor_ = nullptr;
    SteadyTime deadline_;
  };

 private:
  void TellFollowers(const std::string& key, const News& news, Resumption& resumption) {
    const auto [begin, end] = tickets_.equal_range(key);
    for (auto it = begin; it != end; ++it) Tell(*it->second, news, resumption);
  }
  void Tell(Ticket& ticket, const News& news, Resumption& resumption) {
    Merge(ticket.news_, news);
    if (!ticket.news_.empty()) Resume(ticket, resumption);
  }
  void Resume(Ticket& ticket, Resumption& resumption) {
    if (!ticket.waiting_) return;
    deadlines_.erase({ticket.deadline_, &ticket});
    resumption.Add(ticket.executor_, std::exchange(ticket.waiting_, {}));
  }

  void Expire() {
    for (;;) {
      Resumption resumption;
      std::unique_lock lock(mutex_);
      if (stopping_) return;
      next_tick_ = deadlines_.empty() ? kNever : deadlines_.begin()->first;
      tick_.wait_until(lock, std::min(next_tick_, After(absl::Hours(1))));
      const SteadyTime now = SteadyNow();
      while (!deadlines_.empty() && deadlines_.begin()->first <= now) Resume(*deadlines_.begin()->second, resumption);
    }
  }

  std::mutex mutex_;
  std::condition_variable tick_;
  bool stopping_ = false;
  std::unordered_multimap<std::string, Ticket*> tickets_;
  std::set<std::pair<SteadyTime, Ticket*>> deadlines_;  // of those that wait
  SteadyTime next_tick_ = kNever;                       // when the ticker looks next
  std::thread ticker_;
};

}  // namespace flotilla::async
