// SHA-256 (FIPS 180-4) of a text at once.
#pragma once

#include <array>
#include <string_view>

namespace flotilla::digest {

using Sha256Digest = std::array<unsigned char, 32>;

Sha256Digest Sha256(std::string_view text);

inline std::string_view Bytes(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace flotilla::digest
