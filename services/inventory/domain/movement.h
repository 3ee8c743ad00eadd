// Stock that comes or goes other than by orders: values only.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "inventory/domain/sku.h"

namespace flotilla::inventory {

// The numbers are those of flotilla.inventory.v1.MovementReason and of the database.
enum class MovementReason : int {
  kInitial = 1,
  kReceipt = 2,
  kCount = 3,
  kLoss = 4,
  kCustomerReturn = 5,
  kTransfer = 6,
};

struct Movement {
  std::int64_t id = 0;
  std::string sku;
  std::int64_t delta = 0;  // units
  MovementReason reason = MovementReason::kInitial;
  std::string reference;
  std::string note;
  absl::Time created_at;
};

struct AdjustCommand {
  std::string sku;
  std::string reference;   // once a SKU
  std::int64_t delta = 0;  // units
  MovementReason reason = MovementReason::kReceipt;
  std::string note = {};
};

enum class AdjustOutcome { kDone, kRepeated, kOutOfStock, kUnknownSku, kReferenceReused };

struct AdjustResult {
  AdjustOutcome outcome = AdjustOutcome::kDone;
  Sku sku = {};
};

// Up to `limit` movements of a SKU behind the one with the id `after`, oldest first.
struct MovementQuery {
  std::string sku;
  std::int64_t after = 0;
  int limit = 50;
};

}  // namespace flotilla::inventory
