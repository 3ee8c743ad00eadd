#include "order/workflow/state_metrics.h"

#include <map>

#include "telemetry/metrics.h"

namespace flotilla::order {

void CountStates(OrderHub& hub) {
  const std::map<State, const char*> names = {{State::kReserved, "reserved"},
                                              {State::kPaid, "paid"},
                                              {State::kCancelled, "cancelled"},
                                              {State::kCancelling, "cancelling"},
                                              {State::kAwaitingPayment, "awaiting_payment"},
                                              {State::kRefunding, "refunding"},
                                              {State::kRefunded, "refunded"},
                                              {State::kPartiallyRefunded, "partially_refunded"}};
  std::map<State, prometheus::Counter*> counters;
  for (const auto& [state, name] : names) {
    counters[state] =
        &telemetry::Counter("flotilla_order_states_total", "Orders that entered a state", {{"state", name}});
  }
  hub.OnPublish([counters](const Order& order) { counters.at(order.state)->Increment(); });
}

}  // namespace flotilla::order
