// Names and lifetimes of the gate's keys; what they are stands in stock_gate.h.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace flotilla::inventory {

// A mark outlives its hold, so that a late repeat or return still finds it.
inline constexpr absl::Duration kMarkMargin = absl::Seconds(60);
// Of a SKU's users: drift ends with it, for SQL counts anyway.
inline constexpr absl::Duration kUsersLife = absl::Seconds(10);
// While the gate may have forgotten marks of holds that still live, its refusals are not final. Longer than the holds
// that orders make.
inline constexpr absl::Duration kYouth = absl::Minutes(10);

// Segment 0 has the SKU's name alone, so that a gate of one segment reads as it always did. No SKU's name holds a '~'.
inline std::string Tag(const std::string& sku, int segment) {
  return segment == 0 ? absl::StrCat("{", sku, "}") : absl::StrCat("{", sku, "~", segment, "}");
}
inline std::string StockKey(const std::string& sku, int segment) {
  return absl::StrCat("flotilla:stock:", Tag(sku, segment));
}
inline std::string UsersKey(const std::string& sku, int segment) {
  return absl::StrCat("flotilla:users:", Tag(sku, segment));
}
inline std::string YoungKey(const std::string& sku, int segment) {
  return absl::StrCat("flotilla:young:", Tag(sku, segment));
}
inline std::string MarkKey(const std::string& sku, int segment, const std::string& order_id) {
  return absl::StrCat("flotilla:hold:", Tag(sku, segment), ":", order_id);
}
inline std::string Seconds(absl::Duration duration) { return absl::StrCat(absl::ToInt64Seconds(duration)); }

}  // namespace flotilla::inventory
