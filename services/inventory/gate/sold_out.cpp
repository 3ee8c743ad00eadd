#include "inventory/gate/sold_out.h"

namespace flotilla::inventory {
namespace {

// Jittered, so that the flags of a sale's SKUs do not all fall at once.
constexpr double kShortest_ms = 75, kLongest_ms = 125;
// Beyond this many, flags that have run out are swept, and no new ones are raised where that does not help.
constexpr std::size_t kMostFlags = 10000;

}  // namespace

bool SoldOut::Has(const std::string& sku, absl::Time now) {
  std::lock_guard lock(mutex_);
  const auto it = until_.find(sku);
  return it != until_.end() && now < it->second;
}

std::uint64_t SoldOut::clears() const {
  std::lock_guard lock(mutex_);
  return clears_;
}

void SoldOut::Set(const std::string& sku, absl::Time now, std::uint64_t clears) {
  std::lock_guard lock(mutex_);
  if (clears != clears_) return;
  if (until_.size() >= kMostFlags) absl::erase_if(until_, [now](const auto& flag) { return flag.second <= now; });
  if (until_.size() >= kMostFlags) return;
  until_[sku] = now + absl::Milliseconds(std::uniform_real_distribution<double>(kShortest_ms, kLongest_ms)(random_));
}

void SoldOut::Clear(const std::string& sku) {
  std::lock_guard lock(mutex_);
  ++clears_;
  until_.erase(sku);
}

}  // namespace flotilla::inventory
