#include "payment/domain/journal.h"

namespace flotilla::payment {

BlockHash::BlockHash(std::string_view previous) : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  Add(previous);
}

void BlockHash::Add(std::string_view field) {
  const std::string length = std::to_string(field.size()) + ":";
  EVP_DigestUpdate(context_.get(), length.data(), length.size());
  EVP_DigestUpdate(context_.get(), field.data(), field.size());
}

std::string BlockHash::Finish() {
  std::string hash(32, '\0');
  EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()), nullptr);
  return hash;
}

}  // namespace flotilla::payment
