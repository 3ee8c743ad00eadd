#include "identity/key_set.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "identity/json.h"
#include "identity/signer.h"

namespace flotilla::identity {
namespace {

using testing::HasSubstr;

std::string Set(const std::string& entries) { return absl::StrCat(R"({"keys":[)", entries, "]}"); }

// RFC 7515, appendices A.1 to A.3: the keys and the signatures are not ours.
constexpr char kRfcRsa[] =
    R"({"kty":"RSA","kid":"rsa","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})";
constexpr char kRfcEc[] =
    R"({"kty":"EC","kid":"ec","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr char kRfcSecret[] =
    R"({"kty":"oct","kid":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})";
constexpr char kClaims[] =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

bool Verifies(const KeySet& keys, const char* kid, const std::string& text, const std::string& signature) {
  std::string bytes;
  EXPECT_TRUE(DecodeBase64Url(signature, &bytes));
  return keys.Find(kid)->Verifies(text, bytes);
}

TEST(KeySet, VerifiesTheSignaturesOfRfc7515) {
  const auto keys = KeySet::Parse(Set(absl::StrCat(kRfcRsa, ",", kRfcEc, ",", kRfcSecret)));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ((*keys)->size(), 3u);
  EXPECT_EQ((*keys)->Find("rsa")->algorithm(), Algorithm::kRs256);
  EXPECT_EQ((*keys)->Find("ec")->algorithm(), Algorithm::kEs256);
  EXPECT_EQ((*keys)->Find("oct")->algorithm(), Algorithm::kHs256);
  EXPECT_EQ((*keys)->Find("other"), nullptr);
  EXPECT_TRUE(Verifies(**keys, "oct", absl::StrCat("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.", kClaims),
                       "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
  EXPECT_TRUE(
      Verifies(**keys, "rsa", absl::StrCat("eyJhbGciOiJSUzI1NiJ9.", kClaims),
               "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5juj"
               "Gbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
               "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6L"
               "bgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"));
  EXPECT_TRUE(Verifies(**keys, "ec", absl::StrCat("eyJhbGciOiJFUzI1NiJ9.", kClaims),
                       "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
  EXPECT_FALSE(Verifies(**keys, "ec", absl::StrCat("eyJhbGciOiJFUzI1NiJ9.", kClaims, "x"),
                        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
}

TEST(KeySet, NoKeyVerifiesEmptyZeroOrCutSignatures) {
  for (const Algorithm algorithm : {Algorithm::kRs256, Algorithm::kEs256, Algorithm::kHs256}) {
    const Signer signer = Signer::Make(algorithm, "k");
    const auto keys = KeySet::Parse(Set(signer.Jwk()));
    ASSERT_TRUE(keys.ok()) << keys.status();
    const std::string token = signer.Sign("{}");
    const std::size_t dot = token.rfind('.');
    std::string good;
    ASSERT_TRUE(DecodeBase64Url(token.substr(dot + 1), &good));
    const Key& key = *(*keys)->Find("k");
    EXPECT_TRUE(key.Verifies(token.substr(0, dot), good)) << Name(algorithm);
    for (const std::string& bad : {std::string(), std::string(good.size(), '\0'), good.substr(1), good + '\0'}) {
      EXPECT_FALSE(key.Verifies(token.substr(0, dot), bad)) << Name(algorithm) << " " << bad.size();
    }
  }
}

TEST(KeySet, KeysOfOtherKindsAndUsesAreLeftOut) {
  const auto keys = KeySet::Parse(
      Set(absl::StrCat(kRfcEc, R"(,{"kty":"OKP","crv":"Ed25519","x":"x"},{"kty":"RSA","use":"enc","kid":"e"},)",
                       R"({"kty":"RSA","alg":"RS512","kid":"r"},{"kty":"EC","crv":"P-384","kid":"p"},)",
                       R"({"kty":"oct","kid":"o","k":"AAAA"},7)")));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ((*keys)->size(), 1u);
}

TEST(KeySet, WhatIsWrongIsNamed) {
  const std::string ec = kRfcEc, rsa = kRfcRsa;
  for (const auto& [text, error] : {
           std::pair<std::string, const char*>{"", "not a JSON object"},
           {"[]", "not a JSON object"},
           {"{}", "no list \"keys\""},
           {R"({"keys":7})", "no list \"keys\""},
           {Set(""), "no key for"},
           {Set(absl::StrCat(ec, ",", ec)), "keys[1]: another key has the same kid"},
           {Set(absl::StrReplaceAll(ec, {{R"("kid":"ec",)", ""}})), "keys[0]: kid"},
           {Set(absl::StrReplaceAll(ec, {{R"("kid")", R"("d":"AAAA","kid")"}})), "private key"},
           {Set(absl::StrReplaceAll(ec, {{"x_FE", "AAAA"}})), "no point of P-256"},
           {Set(absl::StrReplaceAll(ec, {{"5a0\"", "\""}})), "32 bytes"},
           {Set(R"({"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"})"), "2048"},
           {Set(R"({"kty":"RSA","kid":"a","n":"!","e":"AQAB"})"), "base64url"},
           {Set(absl::StrReplaceAll(rsa, {{"AQAB", "AQ"}})), "e must be"},
           {Set(R"({"kty":"oct","kid":"a","alg":"HS256","k":"c2hvcnQ"})"), "32 bytes"},
       }) {
    const auto keys = KeySet::Parse(text);
    EXPECT_FALSE(keys.ok()) << text;
    EXPECT_THAT(std::string(keys.status().message()), HasSubstr(error)) << text;
  }
}

}  // namespace
}  // namespace flotilla::identity
