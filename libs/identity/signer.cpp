#include "identity/signer.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "digest/digest.h"
#include "google/protobuf/util/json_util.h"
#include "identity/json.h"
#include "openssl/bn.h"
#include "openssl/core_names.h"
#include "openssl/ecdsa.h"
#include "openssl/hmac.h"
#include "openssl/pem.h"
#include "openssl/rand.h"
#include "openssl/x509.h"

namespace flotilla::identity {
namespace {

constexpr int kCoordinate = 32;  // of P-256

using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

// A public number of the key in base64url; padded to `bytes` where that is not 0.
std::string Number(EVP_PKEY* key, const char* name, int bytes) {
  BIGNUM* raw = nullptr;
  EVP_PKEY_get_bn_param(key, name, &raw);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(raw, &BN_free);
  std::string out(static_cast<std::size_t>(bytes > 0 ? bytes : BN_num_bytes(raw)), '\0');
  BN_bn2binpad(raw, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  return EncodeBase64Url(out);
}

std::string FromDer(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), &ECDSA_SIG_free);
  std::string out(std::size_t{2} * kCoordinate, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), bytes, kCoordinate);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), bytes + kCoordinate, kCoordinate);
  return out;
}

std::string SignWith(EVP_PKEY* key, absl::string_view text) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key);
  EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size());
  std::string signature(size, '\0');
  EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes, text.size());
  signature.resize(size);
  return signature;
}

std::string KeyId(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const auto hash = digest::Sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash.data()), 8));
}

}  // namespace

Signer Signer::Make(Algorithm algorithm, std::string kid) {
  if (algorithm == Algorithm::kHs256) {
    std::string secret(32, '\0');
    RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), 32);
    return FromSecret(std::move(secret), std::move(kid));
  }
  Signer signer(algorithm, std::move(kid));
  signer.key_.reset(algorithm == Algorithm::kRs256 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  return signer;
}

Signer Signer::FromSecret(std::string secret, std::string kid) {
  Signer signer(Algorithm::kHs256, std::move(kid));
  signer.secret_ = std::move(secret);
  return signer;
}

absl::StatusOr<Signer> Signer::FromPem(const std::string& pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  PublicKey key(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) return absl::InvalidArgumentError("it is no private key in PEM");
  const bool rsa = EVP_PKEY_is_a(key.get(), "RSA") == 1;
  if (!rsa && (EVP_PKEY_is_a(key.get(), "EC") != 1 || EVP_PKEY_get_bits(key.get()) != 256)) {
    return absl::InvalidArgumentError("it must be an RSA or P-256 key");
  }
  Signer signer(rsa ? Algorithm::kRs256 : Algorithm::kEs256, KeyId(key.get()));
  signer.key_ = std::move(key);
  return signer;
}

std::string Signer::Jwk() const {
  const std::string common = absl::StrCat(R"("kid":")", kid_, R"(","use":"sig","alg":")", Name(algorithm_), "\"");
  switch (algorithm_) {
    case Algorithm::kRs256:
      return absl::StrCat(R"({"kty":"RSA",)", common, R"(,"n":")", Number(key_.get(), OSSL_PKEY_PARAM_RSA_N, 0),
                          R"(","e":")", Number(key_.get(), OSSL_PKEY_PARAM_RSA_E, 0), R"("})");
    case Algorithm::kEs256:
      return absl::StrCat(R"({"kty":"EC","crv":"P-256",)", common, R"(,"x":")",
                          Number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, kCoordinate), R"(","y":")",
                          Number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinate), R"("})");
    case Algorithm::kHs256:
      return absl::StrCat(R"({"kty":"oct",)", common, R"(,"k":")", EncodeBase64Url(secret_), R"("})");
  }
  return "";
}

std::string Signer::Sign(absl::string_view claims) const {
  return Sign(absl::StrCat(R"({"alg":")", Name(algorithm_), R"(","kid":")", kid_, R"(","typ":"JWT"})"), claims);
}

std::string Signer::Sign(absl::string_view header, absl::string_view claims) const {
  const std::string text = absl::StrCat(EncodeBase64Url(header), ".", EncodeBase64Url(claims));
  std::string signature;
  if (algorithm_ == Algorithm::kHs256) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
    signature.assign(reinterpret_cast<const char*>(mac), size);
  } else {
    signature = SignWith(key_.get(), text);
    if (algorithm_ == Algorithm::kEs256) signature = FromDer(signature);
  }
  return absl::StrCat(text, ".", EncodeBase64Url(signature));
}

std::string ToClaims(const TokenRequest& request) {
  google::protobuf::Struct claims;
  auto& fields = *claims.mutable_fields();
  fields["iss"].set_string_value(request.issuer);
  fields["aud"].set_string_value(request.audience);
  fields["sub"].set_string_value(request.user);
  if (!request.role.empty()) {
    fields["roles"].mutable_list_value()->add_values()->set_string_value(request.role);
  }
  fields["nbf"].set_number_value(static_cast<double>(absl::ToUnixSeconds(request.now)));
  fields["exp"].set_number_value(static_cast<double>(absl::ToUnixSeconds(request.expires)));
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(claims, &json).ok()) return "";
  return json;
}

}  // namespace flotilla::identity
