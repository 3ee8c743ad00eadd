// Tells the event log that SKUs ran low.
#pragma once

#include <span>

#include "inventory/domain/sku.h"
#include "postgres/session.h"

namespace flotilla::inventory {

// In the transaction that changed the SKUs' rows, which it has locked. Nothing to tell costs no statement.
void AppendLowStock(postgres::Transaction& transaction, std::span<const LowStock> low);

}  // namespace flotilla::inventory
