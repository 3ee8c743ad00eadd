#include "inventory/catalog/single_flight.h"

namespace flotilla::inventory {

SingleFlight::Claim SingleFlight::Begin(std::span<const std::string> keys) {
  Claim claim;
  std::lock_guard lock(mutex_);
  for (const std::string& key : keys) {
    (loading_.try_emplace(key).second ? claim.mine : claim.others).push_back(key);
  }
  return claim;
}

void SingleFlight::End(std::span<const std::string> mine) {
  std::vector<Waiter> waiters;
  {
    std::lock_guard lock(mutex_);
    for (const std::string& key : mine) {
      const auto it = loading_.find(key);
      waiters.insert(waiters.end(), it->second.begin(), it->second.end());
      loading_.erase(it);
    }
  }
  for (const Waiter& waiter : waiters) waiter.executor->Post(waiter.handle);
}

bool SingleFlight::Join(const std::string& key, std::coroutine_handle<> handle) {
  std::lock_guard lock(mutex_);
  const auto it = loading_.find(key);
  if (it == loading_.end()) return false;
  it->second.push_back({handle, async::Executor::Current()});
  return true;
}

}  // namespace flotilla::inventory
