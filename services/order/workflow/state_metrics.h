// flotilla_order_states_total{state}: how many orders entered each state by this instance's doing.
#pragma once

#include "order/workflow/order_hub.h"

namespace flotilla::order {

// Before the hub's first change.
void CountStates(OrderHub& hub);

}  // namespace flotilla::order
