#include "identity/token_cache.h"

#include "gtest/gtest.h"
#include "identity/signer.h"

namespace flotilla::identity {
namespace {

std::shared_ptr<const KeySet> Keys() {
  return *KeySet::Parse(R"({"keys":[)" + Signer::Make(Algorithm::kEs256, "k").Jwk() + "]}");
}

TEST(TokenCache, RemembersWithinItsSize) {
  TokenCache cache(2);
  const auto keys = Keys();
  for (const char* token : {"a", "b", "b", "c"}) cache.Add(TokenCache::DigestOf(token), {.user = token}, keys);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_FALSE(cache.Find(TokenCache::DigestOf("a"), keys).has_value());
  EXPECT_EQ(cache.Find(TokenCache::DigestOf("b"), keys)->user, "b");
  EXPECT_EQ(cache.Find(TokenCache::DigestOf("c"), keys)->user, "c");
}

TEST(TokenCache, ForgetsWhatOtherKeysHaveVerified) {
  TokenCache cache(2);
  const auto old = Keys(), now = Keys();
  cache.Add(TokenCache::DigestOf("a"), {.user = "a"}, old);
  EXPECT_FALSE(cache.Find(TokenCache::DigestOf("a"), now).has_value());
  EXPECT_FALSE(cache.Find(TokenCache::DigestOf("a"), old).has_value());
}

}  // namespace
}  // namespace flotilla::identity
