#include "notify/workflow/decode.h"

#include "flotilla/inventory/v1/inventory_event.pb.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "flotilla/payment/v1/reconciliation_event.pb.h"
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

TEST(Decode, APaymentConcernsItsUserOrOperationsOrNobody) {
  using Kind = payment::v1::PaymentEvent;
  const auto event = [](Kind::Kind kind, const std::string& type, const std::string& user) {
    payment::v1::PaymentEvent data;
    data.set_order_id(kOrder);
    data.set_user_id(user);
    data.set_kind(kind);
    return events::Event{.stream_id = kOrder,
                         .sequence = 1,
                         .type = type,
                         .data = data.SerializeAsString(),
                         .occurred_at = absl::FromUnixSeconds(1'700'000'000)};
  };
  const std::vector<events::Event> events = {event(Kind::KIND_LATE_REFUNDED, "payment.late_refunded", "anna"),
                                             event(Kind::KIND_CONFLICT, "payment.conflict", "anna"),
                                             event(Kind::KIND_WRONG_AMOUNT, "payment.wrong_amount", "anna"),
                                             event(Kind::KIND_SUCCEEDED, "payment.succeeded", "anna"),
                                             event(Kind::KIND_LATE_REFUNDED, "payment.late_refunded", "")};
  const Batch batch = Decode("payment", events);
  ASSERT_THAT(batch.notifications, SizeIs(3));
  const Notification& refunded = batch.notifications[0];
  EXPECT_EQ(refunded.user_id, "anna");
  EXPECT_EQ(refunded.event_id, std::string("payment:") + kOrder + "/1");
  EXPECT_EQ(refunded.order_id, kOrder);
  EXPECT_EQ(Render(refunded.type, "en", refunded.values),
            std::string("Your payment for order ") + kOrder + " came too late and went back to you.");
  EXPECT_EQ(batch.notifications[1].user_id, kOperations);
  EXPECT_EQ(Render("payment.conflict", "en", batch.notifications[1].values),
            std::string("The payment provider contradicts itself about order ") + kOrder +
                " of anna; its first word stands.");
  EXPECT_EQ(batch.notifications[2].user_id, kOperations);
  EXPECT_EQ(Render("payment.wrong_amount", "en", batch.notifications[2].values),
            std::string("The payment provider speaks of another amount of order ") + kOrder +
                " of anna; its word was not taken.");
  ASSERT_THAT(batch.dead_letters, SizeIs(1));
  EXPECT_THAT(batch.dead_letters[0].reason, testing::HasSubstr("user_id"));
}

TEST(Decode, DifferencesFromAStatementConcernOperations) {
  payment::v1::ReconciliationEvent data;
  data.set_statement_id("may");
  data.set_new_differences(2);
  data.set_open_differences(4);
  const std::vector<events::Event> events = {{.stream_id = "statement/may",
                                              .sequence = 1,
                                              .type = "reconciliation.differences",
                                              .data = data.SerializeAsString(),
                                              .occurred_at = absl::FromUnixSeconds(1'700'000'000)}};
  const Batch batch = Decode("payment", events);
  EXPECT_THAT(batch.dead_letters, IsEmpty());
  ASSERT_THAT(batch.notifications, SizeIs(1));
  const Notification& differences = batch.notifications[0];
  EXPECT_EQ(differences.user_id, kOperations);
  EXPECT_EQ(differences.event_id, "payment:statement/may/1");
  EXPECT_EQ(Render(differences.type, "en", differences.values),
            "Statement may differs from the ledger: 2 new differences, 4 open.");
}

TEST(Decode, LowStockConcernsOperations) {
  inventory::v1::StockLowEvent data;
  data.set_sku("tea");
  data.set_available(3);
  data.set_threshold(5);
  std::vector<events::Event> events(2, {.stream_id = "tea",
                                        .sequence = 1,
                                        .type = "stock.low",
                                        .data = data.SerializeAsString(),
                                        .occurred_at = absl::FromUnixSeconds(1'700'000'000)});
  events[1].data = "\xff";
  const Batch batch = Decode("inventory", events);
  ASSERT_THAT(batch.notifications, SizeIs(1));
  const Notification& low = batch.notifications[0];
  EXPECT_EQ(low.user_id, kOperations);
  EXPECT_EQ(low.event_id, "inventory:tea/1");
  EXPECT_EQ(low.order_id, "");
  EXPECT_EQ(Render(low.type, "en", low.values), "Stock of tea is low: 3 left, the threshold is 5.");
  EXPECT_THAT(batch.dead_letters, SizeIs(1));
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
