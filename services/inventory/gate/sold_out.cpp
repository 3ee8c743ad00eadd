#include "inventory/gate/sold_out.h"

namespace flotilla::inventory {
namespace {

// Jittered, so that the flags of a sale's SKUs do not all fall at once.
constexpr double kShortest_ms = 75, kLongest_ms = 125;
// Beyond this many, flags that have run out are swept, and no new ones are raised where that does not help.
constexpr std::size_t kMostFlags = 10000;

}  // namespace

bool SoldOut::Has(const std::string& sku, async::SteadyTime now) {
  std::lock_guard lock(mutex_);
  const auto it = until_.find(sku);
  return it != until_.end() && now < it->second;
}

std::uint64_t SoldOut::clears() const {
  std::lock_guard lock(mutex_);
  return clears_;
}

void SoldOut::Set(const std::string& sku, async::SteadyTime now, std::uint64_t clears) {
  std::lock_guard lock(mutex_);
  if (clears != clears_) return;
  if (until_.size() >= kMostFlags) absl::erase_if(until_, [now](const auto& flag) { return flag.second <= now; });
  if (until_.size() >= kMostFlags) return;
  std::uniform_real_distribution<double> lifetime_ms(kShortest_ms, kLongest_ms);
  until_[sku] = async::After(absl::Milliseconds(lifetime_ms(random_)), now);
}

void SoldOut::Clear(const std::string& sku) {
  std::lock_guard lock(mutex_);
  ++clears_;
  until_.erase(sku);
}

}  // namespace flotilla::inventory
