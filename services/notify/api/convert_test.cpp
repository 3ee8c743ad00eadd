#include "notify/api/convert.h"

#include "errors/errors.h"
#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::notify {
namespace {

TEST(Convert, PageSize) {
  v1::ListNotificationsRequest request;
  EXPECT_EQ(Parse("anna", request)->limit, 50);
  EXPECT_EQ(Parse("anna", request)->after, 0);
  request.set_page_size(1000);
  EXPECT_EQ(Parse("anna", request)->limit, 1000);
  request.set_page_size(1001);
  EXPECT_EQ(Field(Parse("anna", request).status()), "page_size");
  request.set_page_size(-1);
  EXPECT_EQ(Field(Parse("anna", request).status()), "page_size");
}

TEST(Convert, APageTokenIsTakenBackAndNothingElseIs) {
  v1::ListNotificationsRequest request;
  Notification last;
  last.sequence = 1234567890123;
  request.set_page_token(PageToken(last));
  EXPECT_EQ(Parse("anna", request)->after, last.sequence);
  for (const char* token : {"1", "n", "n0", "n-1", "nx", "n99999999999999999999", "n1 x", "x1"}) {
    request.set_page_token(token);
    EXPECT_EQ(Field(Parse("anna", request).status()), "page_token") << token;
  }
}

TEST(Convert, ACallWithoutAUserIsRefused) {
  EXPECT_EQ(Parse("", v1::ListNotificationsRequest()).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(errors::Reason(Parse("", v1::SubscribeRequest()).status()), "NO_USER");
}

TEST(Convert, Subscribe) {
  v1::SubscribeRequest request;
  EXPECT_EQ(*Parse("anna", request), 0);
  request.set_after_sequence(7);
  EXPECT_EQ(*Parse("anna", request), 7);
  request.set_after_sequence(-1);
  EXPECT_EQ(Field(Parse("anna", request).status()), "after_sequence");
}

TEST(Convert, Notification) {
  v1::Notification proto;
  Fill({.user_id = "anna",
        .sequence = 3,
        .event_id = "o/3",
        .type = "order.paid",
        .order_id = "o",
        .values = {{"order", "7"}},
        .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)},
       &proto);
  EXPECT_EQ(proto.sequence(), 3);
  EXPECT_EQ(proto.event_id(), "o/3");
  EXPECT_EQ(proto.occur_time().seconds(), 1'700'000'000);
  EXPECT_EQ(proto.occur_time().nanos(), 123'456'000);
}

}  // namespace
}  // namespace flotilla::notify
