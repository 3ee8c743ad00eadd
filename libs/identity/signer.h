// Signs tokens: for development and tests. In production an identity provider does.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "identity/key_set.h"

namespace flotilla::identity {

// What deploy/local and deploy/docker expect of tokens.
inline constexpr char kDevelopmentIssuer[] = "flotilla-development";
inline constexpr char kDevelopmentAudience[] = "flotilla";

class Signer {
 public:
  // A new key. Of kHs256 it is a secret.
  static Signer Make(Algorithm algorithm, std::string kid);
  // For kHs256.
  static Signer FromSecret(std::string secret, std::string kid);
  // The kid is the first 16 hexadecimal digits of the SHA-256 of the public key in DER, as deploy/local/dev-ca has it.
  // INVALID_ARGUMENT where the text is no private RSA or P-256 key in PEM.
  static absl::StatusOr<Signer> FromPem(const std::string& pem);

  Algorithm algorithm() const { return algorithm_; }
  const std::string& kid() const { return kid_; }
  std::string Jwk() const;  // the entry for a key set
  // A compact JWS over claims in JSON; the usual header names alg, kid and typ.
  std::string Sign(absl::string_view claims) const;
  std::string Sign(absl::string_view header, absl::string_view claims) const;

 private:
  Signer(Algorithm algorithm, std::string kid) : algorithm_(algorithm), kid_(std::move(kid)) {}
  Algorithm algorithm_;
  std::string kid_;
  PublicKey key_;  // the whole pair
  std::string secret_;
};

struct TokenRequest {
  std::string issuer, audience, user;
  std::string role;  // may be empty
  absl::Time now, expires;
};
std::string ToClaims(const TokenRequest& request);

}  // namespace flotilla::identity
