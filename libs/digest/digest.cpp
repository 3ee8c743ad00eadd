#include "digest/digest.h"

#include <openssl/evp.h>

namespace flotilla::digest {

Sha256Digest Sha256(std::string_view text) {
  // Fetched once: SHA256() looks the algorithm up in OpenSSL's providers each time, which takes longer than hashing.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Sha256Digest digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, algorithm, nullptr);
  return digest;
}

}  // namespace flotilla::digest
