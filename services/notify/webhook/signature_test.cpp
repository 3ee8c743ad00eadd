#include "notify/webhook/signature.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace flotilla::notify {
namespace {

// The example of the specification.
TEST(Signature, IsWhatReceiversLibrariesExpect) {
  std::string secret;
  ASSERT_TRUE(absl::Base64Unescape("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &secret));
  EXPECT_EQ(ShownSecret(secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  EXPECT_EQ(Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Signature, SecretsAreRandom) {
  EXPECT_EQ(NewSecret().size(), 32u);
  EXPECT_NE(NewSecret(), NewSecret());
}

}  // namespace
}  // namespace flotilla::notify
