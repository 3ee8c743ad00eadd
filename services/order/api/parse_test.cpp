#include "order/api/parse.h"

#include "errors/errors.h"
#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::order {
namespace {

v1::CreateOrderRequest Good() {
  v1::CreateOrderRequest request;
  request.set_idempotency_key("key");
  request.set_payment_method(v1::PAYMENT_METHOD_WALLET);
  request.add_items()->set_sku("sku");
  request.mutable_items(0)->set_quantity(2);
  return request;
}

TEST(Parse, AnOrderIsIdentifiedByUserAndKey) {
  const auto order = Parse("anna", Good());
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_EQ(order->order_id, OrderId("anna", "key"));
  EXPECT_EQ(order->lines, (std::vector<Line>{{"sku", 2}}));
  EXPECT_EQ(order->user_id, "anna");
}

TEST(Parse, ARefundIsOfTheNamedUsersOrderOrOfTheCallersOwn) {
  v1::RefundOrderRequest request;
  request.set_order_id(OrderId("anna", "key"));
  request.set_refund_id("r");
  EXPECT_EQ(Parse("olga", request)->key.user_id, "olga");
  request.set_user_id("anna");
  EXPECT_EQ(Parse("olga", request)->key.user_id, "anna");
  EXPECT_EQ(Parse("", request)->key.user_id, "anna");
  request.set_user_id("an na");
  EXPECT_EQ(Field(Parse("olga", request).status()), "user_id");
  request.set_user_id(std::string(65, 'a'));
  EXPECT_EQ(Field(Parse("olga", request).status()), "user_id");
}

TEST(Parse, NobodyIsRefused) {
  EXPECT_EQ(errors::Reason(Parse("", Good()).status()), "NO_USER");
  EXPECT_EQ(errors::Reason(ParseKey("", OrderId("a", "b")).status()), "NO_USER");
}

TEST(Parse, NamesTheWrongField) {
  auto request = Good();
  request.mutable_items(0)->set_quantity(1000001);
  EXPECT_EQ(Field(Parse("anna", request).status()), "items[0].quantity");
  request = Good();
  *request.add_items() = request.items(0);
  EXPECT_EQ(Field(Parse("anna", request).status()), "items[1].sku");
  request = Good();
  request.clear_items();
  EXPECT_EQ(Field(Parse("anna", request).status()), "items");
  request = Good();
  request.set_idempotency_key("a\tb");
  EXPECT_EQ(Field(Parse("anna", request).status()), "idempotency_key");
  EXPECT_EQ(Field(ParseKey("anna", "12").status()), "order_id");
}

TEST(Parse, AnOrderOfABatchIsTheSameAsAlone) {
  v1::BatchCreateOrdersRequest::Item item;
  item.set_user_id("anna");
  *item.mutable_order() = Good();
  const auto order = Parse(item, 7);
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_EQ(order->order_id, OrderId("anna", "key"));
  EXPECT_EQ(order->body_hash, Parse("anna", Good())->body_hash);

  item.mutable_order()->mutable_items(0)->set_quantity(0);
  EXPECT_EQ(Field(Parse(item, 7).status()), "requests[7].order.items[0].quantity");
  item.clear_order();
  EXPECT_EQ(Field(Parse(item, 0).status()), "requests[0].order.idempotency_key");
  item.set_user_id("an na");
  EXPECT_EQ(Field(Parse(item, 0).status()), "requests[0].user_id");
}

TEST(Parse, ABatchIsBoundedInRequestsAndInLines) {
  v1::BatchCreateOrdersRequest request;
  EXPECT_EQ(Field(CheckBatch(request)), "requests");
  for (int i = 0; i < 1000; ++i) *request.add_requests()->mutable_order() = Good();
  EXPECT_EQ(CheckBatch(request), absl::OkStatus());
  request.add_requests();
  EXPECT_EQ(Field(CheckBatch(request)), "requests");

  request.Clear();
  for (int i = 0; i < 10000; ++i) {
    if (i % 100 == 0) request.add_requests();
    request.mutable_requests(i / 100)->mutable_order()->add_items();
  }
  EXPECT_EQ(CheckBatch(request), absl::OkStatus());
  request.add_requests()->mutable_order()->add_items();
  EXPECT_EQ(Field(CheckBatch(request)), "requests");
}

TEST(Parse, PageTokensRoundTripAndForgedOnesAreRefused) {
  Order last;
  last.order_id = OrderId("anna", "k");
  last.created_at = absl::FromUnixMicros(1700000000123456);
  v1::ListOrdersRequest request;
  request.set_page_token(PageToken(last));
  const auto query = Parse("anna", request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->limit, 50);
  EXPECT_EQ(query->before->created_at, last.created_at);
  EXPECT_EQ(query->before->order_id, last.order_id);
  for (const char* bad : {"x", "1.2", ".", "1700000000123456.", "a.00000000-0000-0000-0000-000000000000"}) {
    request.set_page_token(bad);
    EXPECT_EQ(Field(Parse("anna", request).status()), "page_token") << bad;
  }
  request.clear_page_token();
  request.set_page_size(1001);
  EXPECT_EQ(Field(Parse("anna", request).status()), "page_size");
}

TEST(Parse, QuestionsAboutCompletionsNameTheirPlaceInTheBatch) {
  v1::GetCompletionRequest request;
  request.set_order_id("0190A1B2-0000-7000-8000-00000000000F");
  EXPECT_EQ(Field(Parse(request, 2).status()), "requests[2].user_id");
  request.set_user_id("anna");
  EXPECT_EQ(Parse(request, 2)->order_id, "0190a1b2-0000-7000-8000-00000000000f");
  request.set_order_id("x");
  EXPECT_EQ(Field(Parse(request, 0).status()), "requests[0].order_id");
}

TEST(Parse, OutcomesAreListedFromAPlaceInTheLog) {
  v1::ListOutcomesRequest request;
  EXPECT_EQ(Field(Parse(request).status()), "min_age");
  request.mutable_min_age()->set_nanos(500'000'000);
  request.set_page_token(PageToken(LogPlace{7, 42}));
  const auto query = Parse(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->min_age, absl::Milliseconds(500));
  EXPECT_EQ(query->after.xid, 7u);
  EXPECT_EQ(query->after.position, 42);
  EXPECT_EQ(query->limit, 50);
  for (const char* bad : {"x", "1", "1.", ".1", "-1.1", "1.x"}) {
    request.set_page_token(bad);
    EXPECT_EQ(Field(Parse(request).status()), "page_token") << bad;
  }
  request.clear_page_token();
  request.set_page_size(1001);
  EXPECT_EQ(Field(Parse(request).status()), "page_size");
  request.clear_page_size();
  for (const std::int64_t seconds : {std::int64_t{-1}, std::int64_t{86400}, INT64_MAX, INT64_MIN}) {
    request.mutable_min_age()->set_seconds(seconds);
    EXPECT_EQ(Field(Parse(request).status()), "min_age") << seconds;
  }
}

}  // namespace
}  // namespace flotilla::order
