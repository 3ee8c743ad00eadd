// The selling rules of restricted SKUs, as far as this process knows them. SQL has the last word, so they may be a
// little old. Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <shared_mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "inventory/domain/sku.h"

namespace flotilla::inventory {

class RuleBook {
 public:
  // Nothing where the SKU is not restricted. Costs next to nothing while no SKU is.
  std::optional<SellingRules> Find(const std::string& sku) const;
  void Set(const std::string& sku, const SellingRules& rules);

 private:
  std::atomic<bool> empty_ = true;
  mutable std::shared_mutex mutex_;
  absl::flat_hash_map<std::string, SellingRules> rules_;
};

}  // namespace flotilla::inventory
