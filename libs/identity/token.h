// JSON Web Tokens (RFC 7519, signed per RFC 7515) of users.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "guard/token_buckets.h"
#include "identity/key_set.h"
#include "identity/token_cache.h"

namespace flotilla::identity {

class TokenVerifier {
 public:
  struct Options {
    std::string issuer;                                     // what "iss" must be
    std::string audience;                                   // what "aud" must be or hold
    absl::Duration leeway = absl::Seconds(30);              // by which the issuer's clock may differ
    std::size_t max_bytes = 8 << 10;                        // of a token
    std::size_t cached = 32 << 10;                          // verified tokens that are remembered
    guard::Rate forged = {.per_second = 20, .burst = 200};  // tokens of one peer that prove to be nobody's
    std::size_t peers = 16 << 10;                           // whose forgeries are counted at once
  };
  using Keys = std::function<std::shared_ptr<const KeySet>()>;
  TokenVerifier(Options options, Keys keys);

  // Who the token speaks for. UNAUTHENTICATED: TOKEN_EXPIRED, or INVALID_TOKEN for anything else that is wrong with it.
  // The algorithm is the key's; "kid", "exp", "iss", "aud" and "sub" are required, "nbf" counts where it stands,
  // "roles" is a string or a list. Thread-safe.
  //
  // RESOURCE_EXHAUSTED TOO_MANY_BAD_TOKENS, with RetryInfo: the peer, a network address, has brought so many invalid
  // ones that its tokens are not looked at where they are not known. A signature is checked before anybody knows whose
  // call it is, and so before any limit of a user. Known tokens are good whoever brings them; `peer` is not asked for
  // then.
  absl::StatusOr<Claims> Verify(absl::string_view token, absl::FunctionRef<std::string()> peer, absl::Time now);

 private:
  absl::StatusOr<Claims> VerifyNew(absl::string_view token, const KeySet& keys, absl::Time now) const;

  const Options options_;
  const Keys keys_;
  TokenCache cache_;
  guard::TokenBuckets forged_;  // by peer
};

}  // namespace flotilla::identity
