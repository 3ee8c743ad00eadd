// SKUs, their counters and their selling rules: values and rules only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::inventory {

enum class Sale { kOpen, kNotStarted, kEnded };

struct SellingRules {
  std::int64_t user_limit = 0;                   // units a user; 0: none
  absl::Time sale_start = absl::InfinitePast();  // whole microseconds
  absl::Time sale_end = absl::InfiniteFuture();  // whole microseconds; exclusive
  std::optional<std::int64_t> sale_price = {};   // minor units
  bool operator==(const SellingRules&) const = default;

  // Whether anything but the price is ruled.
  bool Restrict() const;
  // `margin` is how far the clock may be off: only what is sure even then is called not started or ended.
  Sale At(absl::Time now, absl::Duration margin) const;
};

struct Sku {
  std::string sku;
  std::string name = {};
  std::int64_t price = 0;                              // minor units; the regular one
  std::string currency = {};                           // ISO 4217
  std::int64_t available = 0, reserved = 0, sold = 0;  // units
  SellingRules rules = {};
  std::int64_t low_stock_threshold = 0;  // units; 0: not watched
  bool operator==(const Sku&) const = default;

  std::int64_t CurrentPrice() const { return rules.sale_price.value_or(price); }
};

struct PutSkuCommand {
  std::string sku, name;
  std::int64_t price = 0;
  std::string currency;
  std::int64_t initial = 0;  // units; counts at creation only
  SellingRules rules = {};
  std::int64_t low_stock_threshold = 0;
};

struct PutSkuResult {
  Sku sku;
  bool created = false;
};

// Up to `limit` SKUs behind `after`, in the order of their ids (bytes).
struct SkuQuery {
  std::string after = {};
  int limit = 50;
  std::string prefix = {};
  bool low_stock = false;  // only those at or below their threshold
};

// The available units of a SKU in SQL and in the gate.
struct Comparison {
  std::string sku;
  std::int64_t available = 0;
  std::optional<std::int64_t> gate;  // nothing where the gate does not know the SKU
};

struct LowStock {
  std::string sku;
  std::int64_t available = 0, threshold = 0;  // units
};

// Whether a change of the available units by `delta` to `available` makes them low.
bool BecomesLow(std::int64_t available, std::int64_t delta, std::int64_t threshold);

}  // namespace flotilla::inventory
