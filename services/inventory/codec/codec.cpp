#include "inventory/codec/codec.h"

#include "flotilla/inventory/v1/inventory_event.pb.h"

namespace flotilla::inventory {

events::Event EventOf(const LowStock& low, std::int64_t sequence, absl::Time occurred_at) {
  v1::StockLowEvent data;
  data.set_sku(low.sku);
  data.set_available(low.available);
  data.set_threshold(low.threshold);
  events::Event event;
  event.stream_id = low.sku;
  event.sequence = sequence;
  event.type = "stock.low";
  event.data = data.SerializeAsString();
  event.occurred_at = occurred_at;
  return event;
}

}  // namespace flotilla::inventory
