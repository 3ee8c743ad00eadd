#include "order/codec/codec.h"

#include "flotilla/order/v1/order_event.pb.h"
#include "gtest/gtest.h"

namespace flotilla::order {
namespace {

Order Sample() {
  Order order;
  order.order_id = OrderId("anna", "k");
  order.user_id = "anna";
  order.state = State::kCancelled;
  order.lines = {{"a", 2, 250}, {"b", 3, 100}};
  order.currency = "EUR";
  order.total = 800;
  order.cancel_reason = "INSUFFICIENT_FUNDS";
  order.version = 2;
  order.created_at = absl::FromUnixMicros(1234567890123456);
  order.updated_at = absl::FromUnixMicros(1234567890999999);
  return order;
}

TEST(Codec, RoundTrip) {
  const auto decoded = Decode(Encode(Sample()));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, Sample());
  EXPECT_FALSE(Decode("\x01nonsense").ok());
}

TEST(Codec, TheEventsIdIsTheOrdersVersion) {
  const events::Event event = EventOf(Sample(), "trace");
  EXPECT_EQ(event.id(), Sample().order_id + "/2");
  EXPECT_EQ(event.type, "order.cancelled");
  EXPECT_EQ(event.traceparent, "trace");
  v1::OrderEvent data;
  ASSERT_TRUE(data.ParseFromString(event.data));
  EXPECT_EQ(FromProto(data.order()), Sample());
}

}  // namespace
}  // namespace flotilla::order
