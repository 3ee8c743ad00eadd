#include "inventory/catalog/price_cache.h"

namespace flotilla::inventory {
namespace {

// Jittered, so that what was loaded together is not missing together.
constexpr double kShortest_ms = 1000, kLongest_ms = 2000;
constexpr std::size_t kMostEntries = 100000;

}  // namespace

async::Task<absl::StatusOr<PriceCache::Prices>> PriceCache::Get(std::vector<std::string> skus) {
  Prices prices;
  TakeFresh(skus, prices);
  if (skus.empty()) co_return prices;

  SingleFlight::Claim claim = loading_.Begin(skus);
  absl::Status status;
  if (!claim.mine.empty()) {
    const async::SteadyTime asked_at = async::SteadyNow();
    const absl::StatusOr<SkuReader::Skus> found = co_await reader_.Read(claim.mine);
    status = found.status();
    if (found.ok()) Store(claim.mine, **found, asked_at);
    loading_.End(claim.mine);
  }
  for (const std::string& sku : claim.others) co_await loading_.Wait(sku);
  if (!status.ok()) co_return status;
  TakeFresh(skus, prices);
  if (!skus.empty()) co_return absl::UnavailableError("prices cannot be read now");
  co_return prices;
}

void PriceCache::TakeFresh(std::vector<std::string>& skus, Prices& prices) {
  const async::SteadyTime now = async::SteadyNow();
  std::lock_guard lock(mutex_);
  std::erase_if(skus, [&](const std::string& sku) {
    const auto it = entries_.find(sku);
    if (it == entries_.end() || it->second.expires_at <= now) return false;
    prices[sku] = it->second.price;
    return true;
  });
}

void PriceCache::Store(const std::vector<std::string>& skus, const std::map<std::string, Sku>& found,
                       async::SteadyTime asked_at) {
  std::lock_guard lock(mutex_);
  if (entries_.size() + skus.size() > kMostEntries) {
    absl::erase_if(entries_, [&](const auto& entry) { return entry.second.expires_at <= asked_at; });
    if (entries_.size() + skus.size() > kMostEntries) entries_.clear();
  }
  std::uniform_real_distribution<double> lifetime(kShortest_ms, kLongest_ms);
  for (const std::string& sku : skus) {
    Entry& entry = entries_[sku];
    entry.expires_at = async::After(absl::Milliseconds(lifetime(random_)), asked_at);
    const auto it = found.find(sku);
    entry.price =
        it == found.end() ? std::nullopt : std::optional(Price{it->second.CurrentPrice(), it->second.currency});
  }
}

}  // namespace flotilla::inventory
