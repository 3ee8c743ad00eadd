#include "notify/workflow/decode.h"

#include "flotilla/order/v1/order_event.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::notify {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr char kOrder[] = "00000000-0000-7000-8000-00000000000a";

events::Event Make(const std::string& type, std::int64_t version, const std::string& reason = "") {
  order::v1::OrderEvent data;
  data.mutable_order()->set_order_id(kOrder);
  data.mutable_order()->set_user_id("anna");
  data.mutable_order()->set_cancel_reason(reason);
  return {.stream_id = kOrder,
          .sequence = version,
          .type = type,
          .data = data.SerializeAsString(),
          .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)};
}

TEST(Decode, AnEventBecomesALineForItsUser) {
  const std::vector<events::Event> events = {Make("order.paid", 2), Make("order.cancelled", 3, "SOLD_OUT")};
  const Batch batch = Decode("order", events);
  ASSERT_THAT(batch.notifications, SizeIs(2));
  EXPECT_THAT(batch.dead_letters, IsEmpty());
  EXPECT_EQ(batch.notifications[0].user_id, "anna");
  EXPECT_EQ(batch.notifications[0].event_id, std::string(kOrder) + "/2");
  EXPECT_EQ(batch.notifications[0].type, "order.paid");
  EXPECT_EQ(batch.notifications[0].order_id, kOrder);
  EXPECT_EQ(batch.notifications[0].occurred_at, events[0].occurred_at);
  const Notification& cancelled = batch.notifications[1];
  EXPECT_EQ(Render(cancelled.type, "en", cancelled.values),
            std::string("Your order ") + kOrder + " is cancelled: SOLD_OUT.");
}

TEST(Decode, ALetterKeepsItsEvent) {
  const events::Event event = Make("order.paid", 2);
  const DeadLetter letter = LetterOf("payment", event, "why");
  EXPECT_EQ(letter.event_id, std::string("payment:") + kOrder + "/2");
  EXPECT_EQ(letter.reason, "why");
  const events::Event again = EventOf(letter);
  EXPECT_EQ(again.id(), event.id());
  EXPECT_EQ(again.type, event.type);
  EXPECT_EQ(again.data, event.data);
  EXPECT_EQ(again.occurred_at, event.occurred_at);
}

}  // namespace
}  // namespace flotilla::notify
