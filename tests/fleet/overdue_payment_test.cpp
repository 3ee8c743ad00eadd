// Payment's words do not reach order, whose time to be paid runs out: order asks, and every order ends all the same.
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_AWAITING_PAYMENT;
using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;

class OverduePayment : public testing::Test {
 protected:
  OverduePayment() {
    for (const char* service : {"inventory", "notify"}) fleet.Start(service);
    for (int i = 0; i < 2; ++i) fleet.Start("order", {"--payment_window=20s", "--reservation_hold=40s"});
    fleet.Start("payment", {"--provider_secrets=secret"});
    for (const char* instance : {"inventory-1", "notify-1", "order-1", "order-2", "payment-1"}) {
      fleet.WaitServing(instance);
    }
    fleet.PutSku("thing", 100, 1000);
  }
  order::v1::Order Create(const std::string& key) {
    const Result result = PlaceOrder(*fleet.orders(), "olive", key, {{"thing", 1}}, order::v1::PAYMENT_METHOD_EXTERNAL);
    EXPECT_EQ(result.order.state(), ORDER_STATE_AWAITING_PAYMENT) << result;
    return result.order;
  }
  std::string Say(const order::v1::Order& order, bool succeeded) {
    return Provider(fleet.payments(), "secret")
        .Send({.event_id = "e-" + order.order_id(),
               .reference = order.payment_reference(),
               .succeeded = succeeded,
               .amount = 100});
  }
  bool Becomes(const order::v1::Order& order, order::v1::OrderState state) {
    return Eventually([&] { return GetOrder(*fleet.orders(), "olive", order.order_id()).order.state() == state; },
                      absl::Seconds(120));
  }
  // Restarts payment with NATS, as if that had taken everything up to a snapshot.
  void SetPublished(const std::string& snapshot) {
    fleet.Kill("payment-1");
    fleet.Query("payment", "UPDATE relay_cursor SET draining = NULL, snapshot = " + snapshot + " RETURNING 1");
    fleet.StartServer("nats");
    fleet.Restart("payment-1");
    fleet.WaitServing("payment-1");
  }
  Fleet fleet;
};

// Payment's relay believes that NATS has taken them, and NATS has nothing.
TEST_F(OverduePayment, EveryOrderEndsThoughNatsForgetsTheWords) {
  const order::v1::Order paid = Create("paid"), failed = Create("failed"), unpaid = Create("unpaid");
  fleet.StopServer("nats");
  ASSERT_EQ(Say(paid, true), "");
  ASSERT_EQ(Say(failed, false), "");
  ASSERT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM event", 3, 120));
  SetPublished("pg_current_snapshot()");
  EXPECT_TRUE(Becomes(paid, ORDER_STATE_PAID));
  EXPECT_TRUE(Becomes(failed, ORDER_STATE_CANCELLED));
  EXPECT_TRUE(Becomes(unpaid, ORDER_STATE_CANCELLED));
  EXPECT_EQ(GetOrder(*fleet.orders(), "olive", failed.order_id()).order.cancel_reason(), "PAYMENT_FAILED");
  EXPECT_EQ(GetOrder(*fleet.orders(), "olive", unpaid.order_id()).order.cancel_reason(), "PAYMENT_EXPIRED");
  EXPECT_EQ(fleet.Stock("thing").sold(), 1);
  EXPECT_EQ(fleet.Stock("thing").reserved(), 0);
  const std::string found = "payment was asked";
  EXPECT_NE((fleet.Log("order-1") + fleet.Log("order-2")).find(found), std::string::npos);
  // Who else listens is told by hand, and order once more.
  fleet.StopServer("nats");
  SetPublished("'1:1:'");
  EXPECT_EQ(fleet.Check(), "");
}

// Words that are only late find their orders ended, and end nothing again.
TEST_F(OverduePayment, WordsThatComeAfterAllAreRepeats) {
  std::vector<order::v1::Order> orders;
  for (int i = 0; i < 12; ++i) orders.push_back(Create(absl::StrCat("k", i)));
  fleet.StopServer("nats");
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (i % 3 != 2) ASSERT_EQ(Say(orders[i], i % 3 == 0), "");
  }
  for (std::size_t i = 0; i < orders.size(); ++i) {
    EXPECT_TRUE(Becomes(orders[i], i % 3 == 0 ? ORDER_STATE_PAID : ORDER_STATE_CANCELLED)) << i;
  }
  fleet.StartServer("nats");
  EXPECT_EQ(fleet.Check(), "");
  EXPECT_EQ(fleet.Stock("thing").sold(), 4);
}

}  // namespace
}  // namespace flotilla::fleet
