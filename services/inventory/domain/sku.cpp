#include "inventory/domain/sku.h"

namespace flotilla::inventory {

bool SellingRules::Restrict() const {
  return user_limit > 0 || sale_start != absl::InfinitePast() || sale_end != absl::InfiniteFuture();
}

Sale SellingRules::At(absl::Time now, absl::Duration margin) const {
  if (now + margin < sale_start) return Sale::kNotStarted;
  if (now - margin >= sale_end) return Sale::kEnded;
  return Sale::kOpen;
}

bool BecomesLow(std::int64_t available, std::int64_t delta, std::int64_t threshold) {
  return threshold > 0 && available <= threshold && available - delta > threshold;
}

}  // namespace flotilla::inventory
