#include "notify/workflow/hub.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace flotilla::notify {
namespace {

constexpr std::chrono::milliseconds kTick(250);

}  // namespace

// Waiters to resume once the mutex is free: one wake-up an executor.
class Hub::Resumption {
 public:
  ~Resumption() {
    for (auto& [executor, handles] : groups_) executor->PostMany(handles);
  }
  void Add(Ticket& ticket) {
    if (!ticket.waiting_) return;
    auto it = std::find_if(groups_.begin(), groups_.end(), [&](auto& g) { return g.first == ticket.executor_; });
    if (it == groups_.end()) it = groups_.insert(it, {ticket.executor_, {}});
    it->second.push_back(std::exchange(ticket.waiting_, {}));
  }

 private:
  std::vector<std::pair<async::Executor*, std::vector<std::coroutine_handle<>>>> groups_;
};

Hub::Hub() : ticker_([this] { Tick(); }) {}

Hub::~Hub() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  ticker_.join();
}

std::unique_ptr<Hub::Ticket> Hub::Register(const std::string& user_id) {
  std::unique_ptr<Ticket> ticket(new Ticket(*this, user_id));
  std::lock_guard lock(mutex_);
  tickets_.emplace(user_id, ticket.get());
  return ticket;
}

void Hub::Wake(const std::vector<std::string>& users) {
  Resumption resumption;
  std::lock_guard lock(mutex_);
  if (tickets_.empty()) return;
  for (const std::string& user : users) {
    const auto [begin, end] = tickets_.equal_range(user);
    for (auto it = begin; it != end; ++it) {
      it->second->woken_ = true;
      resumption.Add(*it->second);
    }
  }
}

void Hub::WakeAll() {
  Resumption resumption;
  std::lock_guard lock(mutex_);
  for (auto& [user, ticket] : tickets_) {
    ticket->woken_ = true;
    resumption.Add(*ticket);
  }
}

void Hub::Tick() {
  for (;;) {
    Resumption resumption;
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, kTick, [this] { return stopping_; })) return;
    for (auto& [user, ticket] : tickets_) resumption.Add(*ticket);
  }
}

Hub::Ticket::~Ticket() {
  std::lock_guard lock(hub_.mutex_);
  const auto [begin, end] = hub_.tickets_.equal_range(user_id_);
  hub_.tickets_.erase(std::find_if(begin, end, [this](const auto& entry) { return entry.second == this; }));
}

bool Hub::Ticket::Suspend(std::coroutine_handle<> handle) {
  std::lock_guard lock(hub_.mutex_);
  if (woken_) return false;
  executor_ = async::Executor::Current();
  waiting_ = handle;
  return true;
}

bool Hub::Ticket::Take() {
  std::lock_guard lock(hub_.mutex_);
  return std::exchange(woken_, false);
}

}  // namespace flotilla::notify
