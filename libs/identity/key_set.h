// The public keys that tokens are verified with: a JWK Set (RFC 7517).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "openssl/evp.h"

namespace flotilla::identity {

enum class Algorithm { kRs256, kEs256, kHs256 };

// As "alg" names it.
absl::string_view Name(Algorithm algorithm);

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using PublicKey = std::unique_ptr<EVP_PKEY, FreeKey>;

// One key and the one algorithm it is for: whatever a token's header says, it is verified with this one.
class Key {
 public:
  Key(Algorithm algorithm, PublicKey key) : algorithm_(algorithm), key_(std::move(key)) {}
  explicit Key(std::string secret) : algorithm_(Algorithm::kHs256), secret_(std::move(secret)) {}

  Algorithm algorithm() const { return algorithm_; }
  // Thread-safe.
  bool Verifies(absl::string_view text, absl::string_view signature) const;

 private:
  Algorithm algorithm_;
  PublicKey key_;       // of kRs256 and kEs256
  std::string secret_;  // of kHs256
};

class KeySet {
 public:
  // Keys of other kinds and for other uses are left out, as RFC 7517 wants it. INVALID_ARGUMENT where the text is no
  // key set, holds no key of ours, or one that is malformed, weak, without or with another one's kid, or private.
  static absl::StatusOr<std::shared_ptr<const KeySet>> Parse(absl::string_view json);

  // Null where there is none.
  const Key* Find(const std::string& kid) const;
  std::size_t size() const { return keys_.size(); }

 private:
  std::map<std::string, Key> keys_;
};

}  // namespace flotilla::identity
