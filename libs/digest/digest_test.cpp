#include "digest/digest.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace flotilla::digest {
namespace {

std::string Hex(std::string_view text) {
  const std::string digest(Bytes(Sha256(text)));
  return absl::BytesToHexString(digest);
}

// The examples of NIST: https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace flotilla::digest
