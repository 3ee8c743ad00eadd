// Tells the other instances which orders have changed, so that whoever watches one there looks at once.
#pragma once

#include "events/broadcast.h"
#include "order/workflow/order_hub.h"

namespace flotilla::order {

class OrderNews {
 public:
  // Before anything is published to the hub, which outlives this.
  OrderNews(events::NatsOptions nats, OrderHub& hub);

 private:
  events::Broadcast broadcast_;
};

}  // namespace flotilla::order
