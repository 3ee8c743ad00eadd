#include "inventory/catalog/catalog.h"

#include <algorithm>

namespace flotilla::inventory {
namespace {

constexpr int kPage = 50000;
// Room to grow before the filter is built anew, twice as large.
constexpr std::size_t kLeastCapacity = 100000;

}  // namespace

Catalog::Catalog(const postgres::Options& postgres, RuleBook& rules)
    : rules_(rules),
      store_(postgres::Named(postgres, "catalog")),
      filter_(std::make_shared<BloomFilter>(0)),
      news_({.name = "catalog", .max_batch = 16384}, [this](int) {
        return [this](const std::vector<Nothing>& requests) {
          const absl::Status status = Refresh();
          return std::vector<absl::StatusOr<Nothing>>(
              requests.size(), status.ok() ? absl::StatusOr<Nothing>(Nothing{}) : absl::StatusOr<Nothing>(status));
        };
      }) {}

absl::Status Catalog::Load() {
  std::lock_guard lock(mutex_);
  return LoadLocked();
}

absl::Status Catalog::LoadLocked() {
  // First the mark, so that what is put while we read comes with the first Refresh.
  absl::StatusOr<std::string> mark = store_.Mark();
  if (!mark.ok()) return mark.status();
  std::vector<std::string> names;
  for (std::string after;;) {
    absl::StatusOr<std::vector<std::string>> page = store_.Names(after, kPage);
    if (!page.ok()) return page.status();
    if (page->empty()) break;
    after = page->back();
    std::move(page->begin(), page->end(), std::back_inserter(names));
  }
  auto filter = std::make_shared<BloomFilter>(std::max(kLeastCapacity, names.size() * 2));
  for (const std::string& name : names) filter->Add(name);
  const absl::StatusOr<std::vector<Listing>> restricted = store_.Restricted();
  if (!restricted.ok()) return restricted.status();
  filter_.store(std::move(filter));
  for (const Listing& listing : *restricted) rules_.Set(listing.sku, listing.rules);
  mark_ = *std::move(mark);
  return absl::OkStatus();
}

absl::Status Catalog::Refresh() {
  std::lock_guard lock(mutex_);
  const absl::StatusOr<SkuStore::Changes> changes = store_.ChangedSince(mark_);
  if (!changes.ok()) return changes.status();
  Apply(changes->listings);
  mark_ = changes->mark;
  const auto filter = filter_.load();
  return filter->size() > filter->capacity() ? LoadLocked() : absl::OkStatus();
}

void Catalog::Apply(const std::vector<Listing>& listings) {
  const auto filter = filter_.load();
  for (const Listing& listing : listings) {
    filter->Add(listing.sku);
    rules_.Set(listing.sku, listing.rules);
  }
}

async::Task<std::vector<std::string>> Catalog::Unknown(std::vector<std::string> skus) {
  // A flush begins after the requests that it answers have come.
  const absl::StatusOr<Nothing> news = co_await news_.Call(Nothing{});
  if (!news.ok()) co_return std::vector<std::string>();
  const auto filter = filter_.load();
  std::erase_if(skus, [&](const std::string& sku) { return filter->MayContain(sku); });
  co_return skus;
}

}  // namespace flotilla::inventory
