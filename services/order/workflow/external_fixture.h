// For the tests of external payments: orders that are to be paid to the provider, in a database of their own.
#pragma once

#include <string>

#include "absl/time/clock.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "gtest/gtest.h"
#include "order/codec/codec.h"
#include "order/store/schema.h"
#include "order/workflow/external_flow.h"
#include "order/workflow/order_flow.h"
#include "postgres/test_database.h"

namespace flotilla::order {

class ExternalPaymentTest : public testing::Test {
 protected:
  ExternalPaymentTest() {
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
  void Opened(const Order& order, absl::Duration time_to_pay = absl::Hours(1)) {
    Order awaiting = Advance(order, State::kAwaitingPayment, absl::Now());
    awaiting.pay_by = absl::FromUnixSeconds(absl::ToUnixSeconds(clock.Now() + time_to_pay));
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
  OrderHub hub;
  PaymentIntake intake{database.options(), hub, clock};
};

}  // namespace flotilla::order
