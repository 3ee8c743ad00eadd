// The journal's hash chain: SHA-256 over the block before and every field of every transfer of the block.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace flotilla::payment {

class BlockHash {
 public:
  // `previous`: the hash of the block before, empty for the first one.
  explicit BlockHash(std::string_view previous);
  // One field of a transfer. Its length goes in too, so no two lists of fields look alike.
  void Add(std::string_view field);
  // 32 bytes; the object is used up.
  std::string Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace flotilla::payment
