#include "identity/key_set.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "identity/json.h"
#include "openssl/bn.h"
#include "openssl/core_names.h"
#include "openssl/crypto.h"
#include "openssl/ecdsa.h"
#include "openssl/err.h"
#include "openssl/hmac.h"
#include "openssl/param_build.h"

namespace flotilla::identity {
namespace {

using google::protobuf::Struct;

constexpr std::size_t kMaxKeys = 64;
constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
constexpr std::size_t kMinSecret = 32;
constexpr std::size_t kCoordinate = 32;  // of P-256

struct FreeNumber {
  void operator()(BIGNUM* n) const { BN_free(n); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;

Number ToNumber(absl::string_view bytes) {
  return Number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

PublicKey Build(const char* type, OSSL_PARAM_BLD* builder) {
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder),
                                                                       &OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (params == nullptr || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0) {
    return nullptr;
  }
  return PublicKey(key);
}

using Builder = std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)>;

absl::StatusOr<Key> RsaKey(const Struct& jwk) {
  std::string n, e;
  if (!DecodeBase64Url(Text(jwk, "n"), &n) || !DecodeBase64Url(Text(jwk, "e"), &e) || n.empty() || e.empty()) {
    return absl::InvalidArgumentError("n and e must be base64url numbers");
  }
  const Number modulus = ToNumber(n), exponent = ToNumber(e);
  const int bits = BN_num_bits(modulus.get());
  if (bits < kMinRsaBits || bits > kMaxRsaBits) return absl::InvalidArgumentError("n must have 2048 to 8192 bits");
  if (!BN_is_odd(exponent.get()) || BN_num_bits(exponent.get()) < 2 || BN_num_bits(exponent.get()) > 64) {
    return absl::InvalidArgumentError("e must be odd, from 3 on, of at most 64 bits");
  }
  const Builder builder(OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  PublicKey key = Build("RSA", builder.get());
  if (key == nullptr) return absl::InvalidArgumentError("it is not an RSA key");
  return Key(Algorithm::kRs256, std::move(key));
}

absl::StatusOr<Key> EcKey(const Struct& jwk) {
  std::string x, y;
  if (!DecodeBase64Url(Text(jwk, "x"), &x) || !DecodeBase64Url(Text(jwk, "y"), &y) || x.size() != kCoordinate ||
      y.size() != kCoordinate) {
    return absl::InvalidArgumentError("x and y must be base64url numbers of 32 bytes");
  }
  const std::string point = absl::StrCat("\x04", x, y);
  const Builder builder(OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  PublicKey key = Build("EC", builder.get());
  if (key == nullptr) return absl::InvalidArgumentError("x and y are no point of P-256");
  return Key(Algorithm::kEs256, std::move(key));
}

absl::StatusOr<Key> SecretKey(const Struct& jwk) {
  std::string secret;
  if (!DecodeBase64Url(Text(jwk, "k"), &secret) || secret.size() < kMinSecret) {
    return absl::InvalidArgumentError("k must be base64url of at least 32 bytes");
  }
  return Key(std::move(secret));
}

// Of our kinds, and to verify signatures with.
bool IsOurs(const Struct& jwk) {
  const std::string& use = Text(jwk, "use");
  if (!use.empty() && use != "sig") return false;
  const std::string& kty = Text(jwk, "kty");
  const std::string& alg = Text(jwk, "alg");
  if (kty == "RSA") return alg.empty() || alg == Name(Algorithm::kRs256);
  if (kty == "EC") return Text(jwk, "crv") == "P-256" && (alg.empty() || alg == Name(Algorithm::kEs256));
  return kty == "oct" && alg == Name(Algorithm::kHs256);  // a secret could be for anything, so it must say so
}

absl::StatusOr<Key> ParseKey(const Struct& jwk) {
  if (jwk.fields().contains("d")) return absl::InvalidArgumentError("it is a private key");
  const std::string& kty = Text(jwk, "kty");
  return kty == "RSA" ? RsaKey(jwk) : kty == "EC" ? EcKey(jwk) : SecretKey(jwk);
}

// JWS has r and s side by side, OpenSSL wants them in DER.
std::string ToDer(absl::string_view signature) {
  if (signature.size() != 2 * kCoordinate) return "";
  Number r = ToNumber(signature.substr(0, kCoordinate)), s = ToNumber(signature.substr(kCoordinate));
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), &ECDSA_SIG_free);
  ECDSA_SIG_set0(pair.get(), r.release(), s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  std::string out(reinterpret_cast<const char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return out;
}

bool VerifiesHmac(const std::string& secret, absl::string_view text, absl::string_view signature) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return size == signature.size() && CRYPTO_memcmp(mac, signature.data(), size) == 0;
}

}  // namespace

absl::string_view Name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRs256:
      return "RS256";
    case Algorithm::kEs256:
      return "ES256";
    case Algorithm::kHs256:
      return "HS256";
  }
  return "";
}

bool Key::Verifies(absl::string_view text, absl::string_view signature) const {
  if (algorithm_ == Algorithm::kHs256) return VerifiesHmac(secret_, text, signature);
  const std::string der = algorithm_ == Algorithm::kEs256 ? ToDer(signature) : std::string(signature);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const bool verified = EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
                        EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(der.data()), der.size(),
                                         reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  // The thread's next TLS operation would take what is left in the queue for its own failure.
  if (!verified) ERR_clear_error();
  return verified;
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySet::Parse(absl::string_view json) {
  const absl::StatusOr<Struct> object = ParseObject(json);
  if (!object.ok()) return object.status();
  const auto list = object->fields().find("keys");
  if (list == object->fields().end() || !list->second.has_list_value()) {
    return absl::InvalidArgumentError("it has no list \"keys\"");
  }
  auto set = std::make_shared<KeySet>();
  const auto& values = list->second.list_value().values();
  for (int i = 0; i < values.size(); ++i) {
    const Struct& jwk = values[i].struct_value();
    if (!IsOurs(jwk)) continue;
    const std::string& kid = Text(jwk, "kid");
    if (kid.empty()) return absl::InvalidArgumentError(absl::StrCat("keys[", i, "]: kid must be set"));
    absl::StatusOr<Key> key = ParseKey(jwk);
    if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat("keys[", i, "]: ", key.status().message()));
    if (!set->keys_.emplace(kid, *std::move(key)).second) {
      return absl::InvalidArgumentError(absl::StrCat("keys[", i, "]: another key has the same kid"));
    }
  }
  if (set->keys_.empty()) return absl::InvalidArgumentError("it holds no key for RS256, ES256 or HS256");
  if (set->keys_.size() > kMaxKeys) return absl::InvalidArgumentError("it holds more than 64 keys");
  return set;
}

const Key* KeySet::Find(const std::string& kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace flotilla::identity
