#include "inventory/catalog/bloom_filter.h"

#include <string>

#include "gtest/gtest.h"

namespace flotilla::inventory {
namespace {

TEST(BloomFilterTest, KnowsAllThatWasAddedAndLittleElse) {
  constexpr int kTexts = 100000;
  BloomFilter filter(kTexts);
  for (int i = 0; i < kTexts; ++i) filter.Add("sku-" + std::to_string(i));
  int wrong = 0;
  for (int i = 0; i < kTexts; ++i) {
    EXPECT_TRUE(filter.MayContain("sku-" + std::to_string(i)));
    wrong += filter.MayContain("other-" + std::to_string(i)) ? 1 : 0;
  }
  EXPECT_LT(wrong, kTexts / 50);
  EXPECT_GT(filter.size(), kTexts * 9 / 10);
  EXPECT_LE(filter.size(), kTexts);
}

TEST(BloomFilterTest, EmptyOneKnowsNothing) {
  const BloomFilter filter(0);
  EXPECT_FALSE(filter.MayContain(""));
  EXPECT_FALSE(filter.MayContain("a"));
}

}  // namespace
}  // namespace flotilla::inventory
