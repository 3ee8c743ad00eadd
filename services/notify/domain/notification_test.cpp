#include "notify/domain/notification.h"

#include "gtest/gtest.h"

namespace flotilla::notify {
namespace {

TEST(TextOf, OneLineAType) {
  EXPECT_EQ(TextOf("order.paid", "7", ""), "Your order 7 is paid.");
  EXPECT_EQ(TextOf("order.reserved", "7", ""), "Your order 7 is reserved; payment is under way.");
  EXPECT_EQ(TextOf("order.cancelling", "7", ""), "Your order 7 is being cancelled.");
  EXPECT_EQ(TextOf("order.cancelled", "7", ""), "Your order 7 is cancelled.");
  EXPECT_EQ(TextOf("order.cancelled", "7", "INSUFFICIENT_FUNDS"), "Your order 7 is cancelled: INSUFFICIENT_FUNDS.");
  EXPECT_EQ(TextOf("order.wrapped", "7", ""), "Your order 7 has changed.");
}

}  // namespace
}  // namespace flotilla::notify
