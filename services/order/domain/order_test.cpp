#include "order/domain/order.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace flotilla::order {
namespace {

TEST(Order, IdsDependOnUserAndKeyAlone) {
  EXPECT_EQ(OrderId("anna", "k1"), OrderId("anna", "k1"));
  EXPECT_NE(OrderId("anna", "k1"), OrderId("anna", "k2"));
  EXPECT_NE(OrderId("a", "bc"), OrderId("ab", "c"));
  const std::string id = OrderId("anna", "k1");
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '8') << "UUID version";
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos) << "UUID variant";
}

TEST(Order, BodyHashTellsBodiesApart) {
  const std::vector<Line> lines = {{"a", 1}, {"b", 2}};
  const std::string hash = BodyHash(lines, PaymentMethod::kWallet);
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(hash, BodyHash({{"a", 1, 100}, {"b", 2, 5}}, PaymentMethod::kWallet)) << "prices are not the client's";
  EXPECT_NE(hash, BodyHash({{"b", 2}, {"a", 1}}, PaymentMethod::kWallet));
  EXPECT_NE(hash, BodyHash({{"a", 12}}, PaymentMethod::kWallet));
}

TEST(Order, TotalIsCheckedForOverflow) {
  EXPECT_EQ(Total({{"a", 2, 250}, {"b", 3, 100}}), 800);
  EXPECT_EQ(Total({{"a", 4, INT64_MAX / 2}}), std::nullopt);
  EXPECT_EQ(Total({{"a", 1000, kMaxTotal / 1000}}), kMaxTotal);
  EXPECT_EQ(Total({{"a", 1000, kMaxTotal / 1000}, {"b", 1, 1}}), std::nullopt);
  EXPECT_EQ(Total({{"a", 1, INT64_MAX}, {"b", 1, 1}}), std::nullopt);
}

TEST(Order, OnlyLegalChanges) {
  const State all[] = {State::kReserved, State::kPaid, State::kCancelled, State::kCancelling};
  int legal = 0;
  for (State from : all) {
    for (State to : all) legal += MayFollow(from, to) ? 1 : 0;
  }
  EXPECT_EQ(legal, 4);
  EXPECT_TRUE(MayFollow(State::kReserved, State::kPaid));
  EXPECT_TRUE(MayFollow(State::kReserved, State::kCancelled));
  EXPECT_TRUE(MayFollow(State::kPaid, State::kCancelling));
  EXPECT_TRUE(MayFollow(State::kCancelling, State::kCancelled));
}

TEST(Order, AdvanceCountsAndNeverGoesBackInTime) {
  Order order;
  order.updated_at = absl::FromUnixMicros(1000);
  const Order paid = Advance(order, State::kPaid, absl::FromUnixMicros(5) + absl::Nanoseconds(7));
  EXPECT_EQ(paid.version, 2);
  EXPECT_EQ(paid.state, State::kPaid);
  EXPECT_EQ(paid.updated_at, absl::FromUnixMicros(1000));
  EXPECT_EQ(Advance(order, State::kCancelled, absl::Now(), "NO").cancel_reason, "NO");
}

}  // namespace
}  // namespace flotilla::order
