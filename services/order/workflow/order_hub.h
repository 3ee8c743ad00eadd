// Tells coroutines of this process about orders' new states.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "absl/time/time.h"
#include "async/task.h"
#include "order/domain/order.h"

namespace flotilla::order {

class OrderHub {
 public:
  class Ticket;

  OrderHub();
  ~OrderHub();
  OrderHub(const OrderHub&) = delete;
  OrderHub& operator=(const OrderHub&) = delete;

  // Every change that is published from now on reaches the ticket.
  std::unique_ptr<Ticket> Register(const std::string& order_id);
  // From any thread, after the change is durable.
  void Publish(const Order& order);

  // One waiter. Used by one coroutine; lives no longer than the hub.
  class Ticket {
   public:
    ~Ticket();
    // co_await: the newest change since Register or the last Wait, or nothing some 20 ms after `deadline`. Only on an
    // executor's thread; resumes there.
    auto Wait(absl::Time deadline) {
      struct Awaiter {
        Ticket& ticket;
        absl::Time deadline;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> handle) { return ticket.Suspend(deadline, handle); }
        std::optional<Order> await_resume() { return ticket.Take(); }
      };
      return Awaiter{*this, deadline};
    }

   private:
    friend class OrderHub;
    Ticket(OrderHub& hub, std::string order_id) : hub_(hub), order_id_(std::move(order_id)) {}
    bool Suspend(absl::Time deadline, std::coroutine_handle<> handle);
    std::optional<Order> Take();

    OrderHub& hub_;
    const std::string order_id_;
    // The rest under the hub's mutex.
    std::optional<Order> news_;
    std::coroutine_handle<> waiting_;
    async::Executor* executor_ = nullptr;
    absl::Time deadline_;
  };

 private:
  void Expire();

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::unordered_multimap<std::string, Ticket*> tickets_;
  std::thread ticker_;  // one for all deadlines: most waiters are answered long before theirs
};

}  // namespace flotilla::order
