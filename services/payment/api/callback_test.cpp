#include "payment/api/callback.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
constexpr char kBody[] = R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":1250,"currency":"EUR"})";

v1::HandleCallbackRequest Signed(const std::string& secret, const std::string& body = kBody, absl::Time time = kNow) {
  v1::HandleCallbackRequest request;
  request.set_body(body);
  request.set_timestamp(absl::StrCat(absl::ToUnixSeconds(time)));
  request.set_signature(SignCallback(secret, request.timestamp(), body));
  return request;
}

std::string ReasonOf(const CallbackVerifier& verifier, const v1::HandleCallbackRequest& request) {
  const auto command = verifier.Verify(request, kNow);
  return command.ok() ? "" : errors::Reason(command.status());
}

// As `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret` says.
TEST(Callback, TheSignatureIsHmacSha256OverTimestampDotBody) {
  EXPECT_EQ(SignCallback("secret", "1700000000", "{}"),
            "b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163");
}

TEST(Callback, EitherLiveSecretIsTakenAndNoOther) {
  const CallbackVerifier verifier({"new", "old"});
  EXPECT_EQ(ReasonOf(verifier, Signed("new")), "");
  EXPECT_EQ(ReasonOf(verifier, Signed("old")), "");
  EXPECT_EQ(ReasonOf(verifier, Signed("older")), "BAD_SIGNATURE");
  EXPECT_EQ(ReasonOf(CallbackVerifier({}), Signed("")), "BAD_SIGNATURE");
  const auto command = verifier.Verify(Signed("new"), kNow);
  EXPECT_EQ(command->event_id, "e1");
  EXPECT_EQ(command->reference, "ref");
  EXPECT_TRUE(command->succeeded);
  EXPECT_EQ(command->amount, (Money{"EUR", 1250}));
}

TEST(Callback, AnyChangeOfBodyTimestampOrSignatureIsAForgery) {
  const CallbackVerifier verifier({"secret"});
  auto request = Signed("secret");
  request.mutable_body()->replace(request.body().find("1250"), 4, "1251");
  EXPECT_EQ(ReasonOf(verifier, request), "BAD_SIGNATURE");
  request = Signed("secret");
  request.set_timestamp("1700000001");
  EXPECT_EQ(ReasonOf(verifier, request), "BAD_SIGNATURE");
  request = Signed("secret");
  request.mutable_signature()->back() ^= 1;
  EXPECT_EQ(ReasonOf(verifier, request), "BAD_SIGNATURE");
  request.set_signature("");
  EXPECT_EQ(ReasonOf(verifier, request), "BAD_SIGNATURE");
  request = Signed("secret");
  request.set_signature(absl::AsciiStrToUpper(request.signature()));
  EXPECT_EQ(ReasonOf(verifier, request), "");
}

TEST(Callback, TheWindowIsThreeHundredSecondsBothWays) {
  const CallbackVerifier verifier({"secret"});
  for (const int off : {-301, -300, 300, 301}) {
    EXPECT_EQ(ReasonOf(verifier, Signed("secret", kBody, kNow + absl::Seconds(off))),
              std::abs(off) > 300 ? "STALE_TIMESTAMP" : "")
        << off;
  }
  auto request = Signed("secret");
  request.set_timestamp("yesterday");
  EXPECT_EQ(ReasonOf(verifier, request), "INVALID_FIELD");
}

TEST(Callback, ABodyThatIsSignedButWrongIsRefused) {
  const CallbackVerifier verifier({"secret"});
  for (const char* body :
       {"[]", "{", R"({"event_id":"e1"})",
        R"({"event_id":"","reference":"ref","status":"succeeded","amount":1250,"currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"maybe","amount":1250,"currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":12.5,"currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":-1,"currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":1e300,"currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":"1250","currency":"EUR"})",
        R"({"event_id":"e1","reference":"ref","status":"succeeded","amount":1250,"currency":"euro"})"}) {
    EXPECT_EQ(ReasonOf(verifier, Signed("secret", body)), "MALFORMED_CALLBACK") << body;
  }
  EXPECT_EQ(ReasonOf(verifier, Signed("secret", std::string(kMaxCallbackBody + 1, ' '))), "INVALID_FIELD");
  EXPECT_EQ(ReasonOf(verifier, Signed("secret", "")), "INVALID_FIELD");
}

}  // namespace
}  // namespace flotilla::payment
