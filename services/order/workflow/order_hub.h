// Tells coroutines of this process about orders' new states.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "async/hub.h"
#include "order/domain/order.h"

namespace flotilla::order {

// Of each order the newest state counts.
inline void KeepNewest(std::vector<Order>& held, const Order& next) {
  const auto it =
      std::find_if(held.begin(), held.end(), [&](const Order& order) { return order.order_id == next.order_id; });
  if (it == held.end()) {
    held.push_back(next);
  } else if (it->version < next.version) {
    *it = next;
  }
}

// Keys are order ids.
class OrderHub : public async::Hub<Order, KeepNewest> {
 public:
  // `tell` hears of every change that is published here. Before the first one.
  void OnPublish(std::function<void(const Order& order)> tell) { tell_.push_back(std::move(tell)); }
  // From any thread, after the change is durable.
  void Publish(const Order& order) {
    async::Hub<Order, KeepNewest>::Publish({&order.order_id, 1}, order);
    for (const auto& tell : tell_) tell(order);
  }

 private:
  std::vector<std::function<void(const Order& order)>> tell_;
};

}  // namespace flotilla::order
