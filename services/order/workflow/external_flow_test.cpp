#include "order/workflow/external_flow.h"

#include "absl/time/clock.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "gtest/gtest.h"
#include "order/codec/codec.h"
#include "order/store/schema.h"
#include "order/workflow/order_flow.h"
#include "postgres/test_database.h"

namespace flotilla::order {
namespace {

class PaymentIntakeTest : public testing::Test {
 protected:
  PaymentIntakeTest() {
    EXPECT_EQ(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
    EXPECT_EQ(clock.Start(), absl::OkStatus());
  }

  // An order that is to be paid to the provider, as it stands when it was placed.
  Order Placed(const std::string& key) {
    Order order;
    order.user_id = "anna";
    order.idempotency_key = key;
    order.order_id = OrderId("anna", key);
    order.lines = {{"sku", 1, 100}};
    order.payment_method = PaymentMethod::kExternal;
    order.body_hash = BodyHash(order.lines, order.payment_method);
    order.currency = "EUR";
    order.total = 100;
    order.created_at = order.updated_at = ToMicroseconds(absl::Now());
    const Placement placement{order, EventOf(order, ""), MakeRecord(kOpenPayment, order, "")};
    EXPECT_TRUE(orders.Place({&placement, 1}).ok());
    return order;
  }
  void Opened(const Order& order) {
    const Order awaiting = Advance(order, State::kAwaitingPayment, absl::Now());
    const Change change{awaiting, EventOf(awaiting, ""), MakeRecord(kOpenPayment, order, "")};
    const auto changed = orders.Apply({&change, 1});
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_EQ(changed->front(), ChangeResult::kDone);
  }
  static events::Event Paid(const Order& order) {
    payment::v1::PaymentEvent data;
    data.set_order_id(order.order_id);
    data.set_user_id(order.user_id);
    data.set_kind(payment::v1::PaymentEvent::KIND_SUCCEEDED);
    return {.stream_id = order.order_id,
            .sequence = 1,
            .type = "payment.succeeded",
            .data = data.SerializeAsString(),
            .occurred_at = absl::Now()};
  }
  std::int64_t Begun(const Order& order) {
    pqxx::connection connection(database.options().uri);
    return pqxx::nontransaction(connection)
        .exec1("SELECT count(*) FROM saga WHERE type = 'complete_payment' AND id = '" + order.order_id + "'")[0]
        .as<std::int64_t>();
  }

  postgres::TestDatabase database;
  OrderStore orders{database.options(), "me", absl::Minutes(1)};
  postgres::DatabaseClock clock{database.options()};
  PaymentIntake intake{database.options(), clock};
};

// A word may come before the order has written that it awaits it. It waits alone: FAILED_PRECONDITION has the consumer
// single it out, where UNAVAILABLE would hold up everything behind it.
TEST_F(PaymentIntakeTest, AnOrderInBetweenHoldsUpNoOther) {
  const Order between = Placed("between"), ready = Placed("ready");
  Opened(ready);
  const std::vector<events::Event> events = {Paid(between), Paid(ready)};
  EXPECT_TRUE(absl::IsFailedPrecondition(intake.Apply(events)));
  EXPECT_EQ(Begun(ready), 1);
  EXPECT_EQ(Begun(between), 0);
  const auto alone = std::span(events).first(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(intake.Apply(alone)));
  Opened(between);
  EXPECT_EQ(intake.Apply(alone), absl::OkStatus());
  EXPECT_EQ(Begun(between), 1);
}

}  // namespace
}  // namespace flotilla::order
