#include "inventory/gate/segments.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace flotilla::inventory {
namespace {

using Units = std::vector<std::int64_t>;

TEST(SegmentsTest, KeysAreSpreadTheSameEverywhere) {
  std::map<int, int> keys;
  for (int i = 0; i < 4000; ++i) ++keys[SegmentOf("user-" + std::to_string(i), 4)];
  ASSERT_EQ(keys.size(), 4);
  for (const auto& [segment, count] : keys) EXPECT_GT(count, 800) << segment;
  EXPECT_EQ(SegmentOf("user-1", 4), 3) << "another release must find the marks of this one";
  EXPECT_EQ(SegmentOf("user-1", 1), 0);
}

TEST(SegmentsTest, AUsersOrdersHaveOneHome) {
  const ReserveCommand one{"o1", {}, absl::Seconds(1), "ann"}, two{"o2", {}, absl::Seconds(1), "ann"};
  EXPECT_EQ(HomeOf(one, 16), HomeOf(two, 16));
  EXPECT_EQ(HomeOf({"o1", {}, absl::Seconds(1)}, 16), SegmentOf("o1", 16));
}

TEST(SegmentsTest, SpreadsAndChangesWithoutLosingAUnit) {
  EXPECT_EQ(Spread(10, 4), (Units{3, 3, 2, 2}));
  EXPECT_EQ(Spread(0, 4), (Units{0, 0, 0, 0}));
  EXPECT_EQ(Changed({5}, 3), Units{8});
  EXPECT_EQ(Changed({5}, -7), Units{-2}) << "units on their way back make up for it";
  EXPECT_EQ(Changed({1, 0, 4}, 4), (Units{3, 1, 5}));
  EXPECT_EQ(Changed({1, 0, 4}, -4), (Units{1, 0, 0}));
  EXPECT_EQ(Changed({2, 0, 4}, -5), (Units{1, 0, 0}));
  EXPECT_EQ(Changed({1, 1}, -3), (Units{-1, 0}));
}

}  // namespace
}  // namespace flotilla::inventory
