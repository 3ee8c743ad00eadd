// Stock and holds on it: values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::inventory {

struct Sku {
  std::string sku;
  std::string name;
  std::int64_t price = 0;                              // minor units
  std::string currency;                                // ISO 4217
  std::int64_t available = 0, reserved = 0, sold = 0;  // units
};

struct Line {
  std::string sku;
  std::int64_t quantity = 0;    // units
  std::int64_t unit_price = 0;  // minor units; of a hold, fixed when it was made
  bool operator==(const Line&) const = default;
};

// Units held for an order, with their prices.
struct Hold {
  std::vector<Line> lines;  // in the order of the request
  std::string currency;
  absl::Time expires_at;
};

// The numbers are the database's.
enum class HoldState : int { kHeld = 1, kConfirmed = 2, kReleased = 3, kExpired = 4 };

enum class Outcome {
  kOk,
  kOutOfStock,
  kUnknownSku,
  kCurrencyMismatch,  // the lines' SKUs are priced in different currencies
  kMismatch,          // the order holds other lines
  kReleased,          // released before, perhaps before it was ever reserved
  kExpired,           // the hold ran out before it was confirmed
  kConfirmed,         // sold already, so it cannot just be released
  kUnknownReservation,
};

struct ReserveCommand {
  std::string order_id;     // UUID, lower case
  std::vector<Line> lines;  // without prices; each SKU once
  absl::Duration hold;
};

struct ReserveResult {
  Outcome outcome = Outcome::kOk;
  std::string sku;        // the one that was short or unknown
  Hold hold;              // where the outcome is kOk
  bool repeated = false;  // the answer to an earlier call; nothing was reserved now
};

struct ReleaseCommand {
  std::string order_id;
  bool return_sold = false;  // takes a confirmed sale back, too
};

// What an order gave back: for the gate.
struct Returned {
  std::string order_id;
  std::vector<std::string> skus;
};

struct PutSkuCommand {
  std::string sku, name;
  std::int64_t price = 0;
  std::string currency;
  std::int64_t initial = 0;  // units; counts at creation only
};

struct AdjustCommand {
  std::string adjustment_id, sku;
  std::int64_t delta = 0;  // units
  std::string reason;
};

enum class AdjustOutcome { kDone, kRepeated, kOutOfStock, kUnknownSku, kIdReused };

struct AdjustResult {
  AdjustOutcome outcome = AdjustOutcome::kDone;
  Sku sku;
};

// The same lines in any order.
bool SameLines(std::vector<Line> a, std::vector<Line> b);

}  // namespace flotilla::inventory
