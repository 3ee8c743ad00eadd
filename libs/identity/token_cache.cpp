#include "identity/token_cache.h"

#include "openssl/sha.h"

namespace flotilla::identity {

TokenCache::Digest TokenCache::DigestOf(absl::string_view token) {
  static_assert(sizeof(Digest) == SHA256_DIGEST_LENGTH);
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
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
