#include "identity/token_cache.h"

#include <bit>

#include "digest/digest.h"

namespace flotilla::identity {

TokenCache::Digest TokenCache::DigestOf(absl::string_view token) {
  return std::bit_cast<Digest>(digest::Sha256({token.data(), token.size()}));
}

std::optional<Claims> TokenCache::Find(const Digest& digest, const std::shared_ptr<const KeySet>& keys) {
  const std::lock_guard lock(mutex_);
  Follow(keys);
  const auto found = claims_.find(digest);
  if (found == claims_.end()) return std::nullopt;
  return found->second;
}

void TokenCache::Add(const Digest& digest, const Claims& claims, const std::shared_ptr<const KeySet>& keys) {
  const std::lock_guard lock(mutex_);
  Follow(keys);
  if (!claims_.emplace(digest, claims).second) return;
  by_age_.push_back(digest);
  if (by_age_.size() <= most_) return;
  claims_.erase(by_age_.front());
  by_age_.pop_front();
}

std::size_t TokenCache::size() const {
  const std::lock_guard lock(mutex_);
  return claims_.size();
}

void TokenCache::Follow(const std::shared_ptr<const KeySet>& keys) {
  if (keys_ == keys) return;
  keys_ = keys;
  claims_.clear();
  by_age_.clear();
}

}  // namespace flotilla::identity
