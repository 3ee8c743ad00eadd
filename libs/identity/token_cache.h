// Tokens whose signature has been verified: it costs tens of microseconds, and users send the same token again and
// again. Tokens themselves are not kept, only their SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "identity/key_set.h"

namespace flotilla::identity {

// What a valid token says.
struct Claims {
  std::string user;
  bool is_operator = false;
  absl::Time expires = {};
};

// Thread-safe. Holds for one key set at a time: what another set has verified is forgotten.
class TokenCache {
 public:
  using Digest = std::array<std::uint64_t, 4>;
  static Digest DigestOf(absl::string_view token);

  // When full, the oldest entries make room.
  explicit TokenCache(std::size_t most) : most_(most) {}

  std::optional<Claims> Find(const Digest& digest, const std::shared_ptr<const KeySet>& keys);
  // Expired entries leave by age like all others: whoever finds them looks at their time.
  void Add(const Digest& digest, const Claims& claims, const std::shared_ptr<const KeySet>& keys);
  std::size_t size() const;

 private:
  void Follow(const std::shared_ptr<const KeySet>& keys);

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::shared_ptr<const KeySet> keys_;  // kept alive, so that no other set can have its address
  absl::flat_hash_map<Digest, Claims> claims_;
  std::deque<Digest> by_age_;
};

}  // namespace flotilla::identity
