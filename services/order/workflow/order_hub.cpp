#include "order/workflow/order_hub.h"

#include <chrono>
#include <utility>

#include "absl/time/clock.h"

namespace flotilla::order {

namespace {
constexpr std::chrono::milliseconds kTick(20);
}  // namespace

OrderHub::OrderHub() : ticker_([this] { Expire(); }) {}

OrderHub::~OrderHub() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  ticker_.join();
}

std::unique_ptr<OrderHub::Ticket> OrderHub::Register(const std::string& order_id) {
  std::unique_ptr<Ticket> ticket(new Ticket(*this, order_id));
  std::lock_guard lock(mutex_);
  tickets_.emplace(order_id, ticket.get());
  return ticket;
}

void OrderHub::Publish(const Order& order) {
  std::lock_guard lock(mutex_);
  const auto [begin, end] = tickets_.equal_range(order.order_id);
  for (auto it = begin; it != end; ++it) {
    Ticket& ticket = *it->second;
    if (ticket.news_.has_value() && ticket.news_->version >= order.version) continue;
    ticket.news_ = order;
    if (ticket.waiting_) ticket.executor_->Post(std::exchange(ticket.waiting_, {}));
  }
}

void OrderHub::Expire() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kTick, [this] { return stopping_; })) {
    const absl::Time now = absl::Now();
    for (auto& [id, ticket] : tickets_) {
      if (ticket->waiting_ && ticket->deadline_ <= now) ticket->executor_->Post(std::exchange(ticket->waiting_, {}));
    }
  }
}

OrderHub::Ticket::~Ticket() {
  std::lock_guard lock(hub_.mutex_);
  const auto [begin, end] = hub_.tickets_.equal_range(order_id_);
  for (auto it = begin; it != end; ++it) {
    if (it->second == this) {
      hub_.tickets_.erase(it);
      return;
    }
  }
}

bool OrderHub::Ticket::Suspend(absl::Time deadline, std::coroutine_handle<> handle) {
  std::lock_guard lock(hub_.mutex_);
  if (news_.has_value()) return false;
  deadline_ = deadline;
  executor_ = async::Executor::Current();
  waiting_ = handle;
  return true;
}

std::optional<Order> OrderHub::Ticket::Take() {
  std::lock_guard lock(hub_.mutex_);
  return std::exchange(news_, std::nullopt);
}

}  // namespace flotilla::order
