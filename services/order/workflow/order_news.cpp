#include "order/workflow/order_news.h"

#include <utility>

namespace flotilla::order {

OrderNews::OrderNews(events::NatsOptions nats, OrderHub& hub)
    : broadcast_(std::move(nats), "flotilla.order.changed", [&hub](auto order_ids) { hub.Nudge(order_ids); }) {
  hub.OnPublish([this](const Order& order) { broadcast_.Say(order.order_id); });
}

}  // namespace flotilla::order
