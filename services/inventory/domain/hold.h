// Holds on stock: values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::inventory {

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
  kPurchaseLimit,  // the user would have more than the SKU's limit
  kUserRequired,   // the SKU has a limit a user, and the order names none
  kSaleNotStarted,
  kSaleEnded,
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
  std::string user_id = {};  // may be empty
};

struct ReserveResult {
  Outcome outcome = Outcome::kOk;
  std::string sku = {};        // the one that was short, unknown or not for sale
  Hold hold = {};              // where the outcome is kOk
  bool repeated = false;       // the answer to an earlier call; nothing was reserved now
  bool renewed = false;        // reserved now, in the place of a hold that had expired
  std::int64_t purchased = 0;  // kPurchaseLimit: units of `sku` that the user has already
};

struct ReleaseCommand {
  std::string order_id;
  bool return_sold = false;  // takes a confirmed sale back, too
};

// What an order gave back: for the gate.
struct Returned {
  std::string order_id;
  std::vector<std::string> skus;
  std::string limited_user = {};  // whose units of limited SKUs are among them, or ""
};

struct ExtendCommand {
  std::string order_id;
  absl::Duration hold;  // from now on
};

struct ExtendResult {
  Outcome outcome = Outcome::kOk;
  Hold hold = {};  // where the outcome is kOk
};

// The same lines in any order.
bool SameLines(std::vector<Line> a, std::vector<Line> b);

}  // namespace flotilla::inventory
