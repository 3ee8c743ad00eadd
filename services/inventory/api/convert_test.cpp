#include "inventory/api/convert.h"

#include "errors/errors.h"
#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::inventory {
namespace {

constexpr char kOrder[] = "0190A1B2-0000-7000-8000-00000000000F";

v1::ReserveRequest Good() {
  v1::ReserveRequest request;
  request.set_order_id(kOrder);
  request.add_lines()->set_sku("a");
  request.mutable_lines(0)->set_quantity(2);
  return request;
}

TEST(Convert, ParsesAReservation) {
  const auto command = Parse(Good());
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->order_id, "0190a1b2-0000-7000-8000-00000000000f");
  EXPECT_EQ(command->lines, (std::vector<Line>{{"a", 2}}));
  EXPECT_EQ(command->hold, absl::Minutes(5));
}

TEST(Convert, NamesTheWrongField) {
  auto request = Good();
  request.set_order_id("x");
  EXPECT_EQ(Field(Parse(request).status()), "order_id");
  request = Good();
  request.clear_lines();
  EXPECT_EQ(Field(Parse(request, 3).status()), "requests[3].lines");
  request = Good();
  *request.add_lines() = request.lines(0);
  EXPECT_EQ(Field(Parse(request).status()), "lines[1].sku");
  for (const std::int64_t quantity : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1000001}}) {
    request = Good();
    request.mutable_lines(0)->set_quantity(quantity);
    EXPECT_EQ(Field(Parse(request, 1).status()), "requests[1].lines[0].quantity") << quantity;
  }
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{3601}, INT64_MAX, INT64_MIN}) {
    request = Good();
    request.mutable_hold()->set_seconds(seconds);
    EXPECT_EQ(Field(Parse(request).status()), "hold") << seconds;
  }
  request = Good();
  request.set_user_id("a b");
  EXPECT_EQ(Field(Parse(request, 2).status()), "requests[2].user_id");
  v1::ExtendHoldRequest extend;
  EXPECT_EQ(Field(Parse(extend).status()), "order_id");
  extend.set_order_id(kOrder);
  EXPECT_EQ(Field(Parse(extend).status()), "hold");
  extend.mutable_hold()->set_seconds(60);
  EXPECT_TRUE(Parse(extend).ok());
  EXPECT_EQ(Field(rpc::CheckBatch(0, "requests")), "requests");
  EXPECT_EQ(Field(rpc::CheckBatch(1001, "order_ids")), "order_ids");
}

TEST(Convert, OutcomesHaveReasonsAProgramCanRead) {
  EXPECT_TRUE(ToStatus(Outcome::kOk).ok());
  EXPECT_EQ(errors::Reason(ToStatus(Outcome::kOutOfStock, "a")), "OUT_OF_STOCK");
  EXPECT_EQ(ToStatus(Outcome::kUnknownSku, "a").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(errors::Reason(ToStatus(Outcome::kExpired)), "RESERVATION_EXPIRED");
  EXPECT_EQ(errors::Reason(ToStatus(Outcome::kPurchaseLimit, "a")), "PURCHASE_LIMIT");
  EXPECT_EQ(errors::Reason(ToStatus(Outcome::kSaleNotStarted, "a")), "SALE_NOT_STARTED");
  EXPECT_EQ(errors::Reason(ToStatus(Outcome::kSaleEnded, "a")), "SALE_ENDED");
  EXPECT_EQ(Field(ToStatus(Outcome::kUserRequired, "a")), "user_id");
}

}  // namespace
}  // namespace flotilla::inventory
