#include "inventory/gate/rule_book.h"

#include <mutex>

namespace flotilla::inventory {

std::optional<SellingRules> RuleBook::Find(const std::string& sku) const {
  if (empty_.load(std::memory_order_acquire)) return std::nullopt;
  std::shared_lock lock(mutex_);
  const auto it = rules_.find(sku);
  if (it == rules_.end()) return std::nullopt;
  return it->second;
}

void RuleBook::Set(const std::string& sku, const SellingRules& rules) {
  std::lock_guard lock(mutex_);
  if (rules.Restrict()) {
    rules_[sku] = rules;
  } else {
    rules_.erase(sku);
  }
  empty_.store(rules_.empty(), std::memory_order_release);
}

}  // namespace flotilla::inventory
