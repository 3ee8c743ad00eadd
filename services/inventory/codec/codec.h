// Inventory's events as they stand in the event log.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "events/log.h"
#include "inventory/domain/sku.h"

namespace flotilla::inventory {

// "stock.low", the SKU's event number `sequence`.
events::Event EventOf(const LowStock& low, std::int64_t sequence, absl::Time occurred_at);

}  // namespace flotilla::inventory
