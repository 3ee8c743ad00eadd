#include "identity/token.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "errors/errors.h"
#include "gmock/gmock.h"
#include "identity/json.h"
#include "identity/signer.h"

namespace flotilla::identity {
namespace {

using testing::HasSubstr;

constexpr char kIssuer[] = "https://issuer.test";
constexpr char kAudience[] = "flotilla";

std::string Peer() { return "ipv4:192.0.2.1"; }
std::string Another() { return "ipv4:192.0.2.2"; }

class TokenTest : public testing::Test {
 protected:
  TokenTest() { Use({&rsa_, &ec_, &secret_}); }
  void Use(std::initializer_list<const Signer*> signers) {
    std::string entries;
    for (const Signer* signer : signers) absl::StrAppend(&entries, entries.empty() ? "" : ",", signer->Jwk());
    keys_ = *KeySet::Parse(absl::StrCat(R"({"keys":[)", entries, "]}"));
  }
  std::string Claims(const std::string& user = "alice", const std::string& role = "") const {
    return ToClaims({.issuer = kIssuer,
                     .audience = kAudience,
                     .user = user,
                     .role = role,
                     .now = now_,
                     .expires = now_ + absl::Minutes(5)});
  }
  absl::StatusOr<identity::Claims> Verify(const std::string& token) { return verifier_.Verify(token, Peer, now_); }
  // Why the ES256 token with these claims is refused; "" where it is not.
  std::string Refusal(const std::string& token) {
    const auto claims = Verify(token);
    if (claims.ok()) return "";
    EXPECT_EQ(claims.status().code(), absl::StatusCode::kUnauthenticated) << claims.status();
    return absl::StrCat(errors::Reason(claims.status()), ": ", claims.status().message());
  }
  std::string With(const std::string& claim, const std::string& json) const {
    return absl::StrCat(
        R"({"iss":")", claim == "iss" ? "" : kIssuer, R"(","aud":)",
        claim == "aud" ? json : absl::StrCat("\"", kAudience, "\""), R"(,"sub":)", claim == "sub" ? json : "\"alice\"",
        R"(,"exp":)", claim == "exp" ? json : absl::StrCat(absl::ToUnixSeconds(now_) + 60),
        claim == "aud" || claim == "sub" || claim == "exp" || claim == "iss" ? ""
                                                                             : absl::StrCat(",\"", claim, "\":", json),
        "}");
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  const Signer rsa_ = Signer::Make(Algorithm::kRs256, "rsa");
  const Signer ec_ = Signer::Make(Algorithm::kEs256, "ec");
  const Signer secret_ = Signer::Make(Algorithm::kHs256, "secret");
  std::shared_ptr<const KeySet> keys_;
  TokenVerifier verifier_{{.issuer = kIssuer, .audience = kAudience}, [this] { return keys_; }};
};

TEST_F(TokenTest, EveryAlgorithmIsTakenTwice) {
  for (const Signer* signer : {&rsa_, &ec_, &secret_}) {
    const std::string token = signer->Sign(Claims("bob"));
    for (int i = 0; i < 2; ++i) {  // the second time from the cache
      const auto claims = Verify(token);
      ASSERT_TRUE(claims.ok()) << Name(signer->algorithm()) << claims.status();
      EXPECT_EQ(claims->user, "bob");
      EXPECT_FALSE(claims->is_operator);
    }
  }
}

TEST_F(TokenTest, OnlyTheRoleOperatorMakesAnOperator) {
  EXPECT_TRUE(Verify(ec_.Sign(Claims("olga", "operator")))->is_operator);
  EXPECT_FALSE(Verify(ec_.Sign(Claims("olga", "Operator")))->is_operator);
  EXPECT_TRUE(Verify(ec_.Sign(With("roles", R"("operator")")))->is_operator);
  EXPECT_TRUE(Verify(ec_.Sign(With("roles", R"(["x",1,"operator"])")))->is_operator);
  EXPECT_FALSE(Verify(ec_.Sign(With("roles", R"({"operator":true})")))->is_operator);
  EXPECT_FALSE(Verify(ec_.Sign(With("role", R"("operator")")))->is_operator);
}

TEST_F(TokenTest, ForgedTokensAreRefused) {
  const Signer forger = Signer::Make(Algorithm::kEs256, "ec");  // our kid, another key
  EXPECT_THAT(Refusal(forger.Sign(Claims())), HasSubstr("wrong signature"));
  std::string token = ec_.Sign(Claims());
  const std::string other = ec_.Sign(Claims("mallory"));
  const std::size_t first = token.find('.'), last = token.rfind('.');
  token =
      token.substr(0, first) + other.substr(other.find('.'), other.rfind('.') - other.find('.')) + token.substr(last);
  EXPECT_THAT(Refusal(token), HasSubstr("wrong signature"));
  EXPECT_THAT(Refusal(other.substr(0, other.rfind('.') + 1)), HasSubstr("wrong signature"));
}

TEST_F(TokenTest, TheHeaderCannotChooseTheAlgorithm) {
  // "none", in any spelling, with and without a signature.
  for (const char* none : {"none", "None", "NONE", ""}) {
    const std::string header = absl::StrCat(R"({"alg":")", none, R"(","kid":"ec"})");
    const std::string token = ec_.Sign(header, Claims());
    EXPECT_THAT(Refusal(token), HasSubstr("algorithm")) << none;
    EXPECT_THAT(Refusal(token.substr(0, token.rfind('.') + 1)), HasSubstr("algorithm")) << none;
  }
  // The public key taken for an HMAC secret: the header's HS256 is not the key's RS256.
  std::string modulus;
  ASSERT_TRUE(DecodeBase64Url(Text(*ParseObject(rsa_.Jwk()), "n"), &modulus));
  const Signer hmac = Signer::FromSecret(modulus, "rsa");
  EXPECT_THAT(Refusal(hmac.Sign(R"({"alg":"HS256","kid":"rsa"})", Claims())), HasSubstr("algorithm"));
  EXPECT_THAT(Refusal(hmac.Sign(R"({"alg":"RS256","kid":"rsa"})", Claims())), HasSubstr("wrong signature"));
  EXPECT_THAT(Refusal(ec_.Sign(R"({"alg":"ES256","kid":"rsa"})", Claims())), HasSubstr("algorithm"));
  EXPECT_THAT(Refusal(rsa_.Sign(R"({"alg":"RS512","kid":"rsa"})", Claims())), HasSubstr("algorithm"));
}

TEST_F(TokenTest, TheHeaderCannotBringItsOwnKeyOrRules) {
  EXPECT_THAT(Refusal(ec_.Sign(absl::StrCat(R"({"alg":"ES256","jwk":)", ec_.Jwk(), "}"), Claims())),
              HasSubstr("known key"));
  for (const char* kid : {R"("../../dev/null")", R"("")", R"(["ec"])", "null", R"("ec ")", R"("EC")"}) {
    EXPECT_THAT(Refusal(ec_.Sign(absl::StrCat(R"({"alg":"ES256","kid":)", kid, "}"), Claims())), HasSubstr("known key"))
        << kid;
  }
  EXPECT_THAT(Refusal(ec_.Sign(R"({"alg":"ES256","kid":"ec","crit":["exp"]})", Claims())), HasSubstr("extensions"));
  EXPECT_THAT(Refusal(ec_.Sign(R"({"alg":"ES256","kid":"ec","b64":false})", Claims())), HasSubstr("extensions"));
}

TEST_F(TokenTest, IssuerAndAudienceMustBeOurs) {
  EXPECT_THAT(Refusal(ec_.Sign(With("iss", ""))), HasSubstr("issuer"));
  EXPECT_EQ(Refusal(ec_.Sign(With("aud", R"(["other","flotilla"])"))), "");
  for (const char* aud : {R"("other")", R"("flotilla2")", R"("Flotilla")", R"(["other"])", "[]", "7", "null", R"({})",
                          R"({"flotilla":1})", R"([["flotilla"]])"}) {
    EXPECT_THAT(Refusal(ec_.Sign(With("aud", aud))), HasSubstr("audience")) << aud;
  }
}

TEST_F(TokenTest, TimesCountWithALeeway) {
  const std::int64_t now = absl::ToUnixSeconds(now_);
  EXPECT_EQ(Refusal(ec_.Sign(With("exp", absl::StrCat(now - 29)))), "");
  EXPECT_THAT(Refusal(ec_.Sign(With("exp", absl::StrCat(now - 30)))), HasSubstr("TOKEN_EXPIRED"));
  EXPECT_EQ(Refusal(ec_.Sign(With("nbf", absl::StrCat(now + 29)))), "");
  EXPECT_THAT(Refusal(ec_.Sign(With("nbf", absl::StrCat(now + 31)))), HasSubstr("not valid yet"));
  for (const char* exp : {R"("1900000000")", "-1", "1e300", "null", "[]"}) {
    EXPECT_THAT(Refusal(ec_.Sign(With("exp", exp))), HasSubstr("no valid exp")) << exp;
  }
  EXPECT_THAT(Refusal(ec_.Sign(With("nbf", R"("soon")"))), HasSubstr("no valid nbf"));
  EXPECT_THAT(Refusal(ec_.Sign(absl::StrCat(R"({"iss":")", kIssuer, R"(","aud":"flotilla","sub":"a"})"))),
              HasSubstr("no valid exp"));
}

TEST_F(TokenTest, ARememberedTokenExpiresToo) {
  const std::string token = ec_.Sign(Claims());
  EXPECT_TRUE(verifier_.Verify(token, Peer, now_).ok());
  EXPECT_TRUE(verifier_.Verify(token, Peer, now_ + absl::Seconds(329)).ok());
  EXPECT_EQ(errors::Reason(verifier_.Verify(token, Peer, now_ + absl::Seconds(330)).status()), "TOKEN_EXPIRED");
}

TEST_F(TokenTest, AnExpiredTokenIsRememberedTooAndNoForgery) {
  const std::string token = ec_.Sign(Claims());
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(errors::Reason(verifier_.Verify(token, Peer, now_ + absl::Hours(1)).status()), "TOKEN_EXPIRED");
  }
  EXPECT_EQ(Refusal(ec_.Sign(Claims("bob"))), "");
}

TEST_F(TokenTest, WhoBringsForgeriesIsNotLookedAtForAWhile) {
  const std::string known = ec_.Sign(Claims("alice"));
  EXPECT_EQ(Refusal(known), "");
  const Signer forger = Signer::Make(Algorithm::kEs256, "ec");
  const std::string forged = forger.Sign(Claims("mallory"));
  int refused = 0;
  absl::StatusOr<identity::Claims> last;
  for (int i = 0; i < 1000 && !absl::IsResourceExhausted(last.status()); ++i) {
    last = verifier_.Verify(forged, Peer, now_);
    EXPECT_FALSE(last.ok());
    ++refused;
  }
  EXPECT_GT(refused, 100) << "whoever has a wrong key by mistake is told so";
  EXPECT_EQ(errors::Reason(last.status()), "TOO_MANY_BAD_TOKENS");
  EXPECT_EQ(errors::ToProto(last.status()).details_size(), 2) << "with RetryInfo";
  EXPECT_TRUE(verifier_.Verify(known, Peer, now_).ok()) << "users that are known go on, from the same address too";
  EXPECT_TRUE(verifier_.Verify(ec_.Sign(Claims("bob")), Another, now_).ok()) << "others have nothing to do with it";
}

TEST_F(TokenTest, TheUserMustBeOne) {
  for (const std::string& sub : {std::string(R"("")"), std::string("null"), std::string("7"), std::string(R"("a b")"),
                                 std::string(R"("a/b")"), absl::StrCat("\"", std::string(65, 'a'), "\"")}) {
    EXPECT_THAT(Refusal(ec_.Sign(With("sub", sub))), HasSubstr("sub")) << sub;
  }
}

TEST_F(TokenTest, KeysAreRotated) {
  const Signer next = Signer::Make(Algorithm::kEs256, "next");
  const std::string old_token = ec_.Sign(Claims()), new_token = next.Sign(Claims());
  EXPECT_EQ(Refusal(old_token), "");
  EXPECT_THAT(Refusal(new_token), HasSubstr("known key"));
  Use({&ec_, &next});
  EXPECT_EQ(Refusal(old_token), "");
  EXPECT_EQ(Refusal(new_token), "");
  Use({&next});
  EXPECT_THAT(Refusal(old_token), HasSubstr("known key"));
  EXPECT_EQ(Refusal(new_token), "");
}

TEST_F(TokenTest, RubbishIsRefused) {
  const std::string good = ec_.Sign(Claims());
  const std::string deep = std::string(4000, '[') + std::string(4000, ']');
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("a.b.c"), good + ".",
        good + "=", good + " ", " " + good, "." + good, std::string(9000, 'a'), std::string("\0.\0.\0", 5),
        EncodeBase64Url(deep) + ".e30.AA", EncodeBase64Url("{\"alg\":") + ".e30.AA",
        EncodeBase64Url("\xff\xfe{}") + ".e30.AA"}) {
    EXPECT_THAT(Refusal(token), HasSubstr("INVALID_TOKEN")) << token.substr(0, 40);
  }
}

}  // namespace
}  // namespace flotilla::identity
