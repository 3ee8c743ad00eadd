#include "notify/webhook/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace flotilla::notify {
namespace {

constexpr int kSecretBytes = 32;

std::string Base64(std::string_view bytes) { return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size())); }

}  // namespace

std::string NewSecret() {
  std::string secret(kSecretBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), kSecretBytes) != 1) {
    throw std::runtime_error("no random bytes");
  }
  return secret;
}

std::string ShownSecret(std::string_view secret) { return "whsec_" + Base64(secret); }

std::string Sign(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body) {
  std::string text(id);
  absl::StrAppend(&text, ".", timestamp, ".");
  text += body;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return "v1," + Base64({reinterpret_cast<const char*>(digest), size});
}

}  // namespace flotilla::notify
