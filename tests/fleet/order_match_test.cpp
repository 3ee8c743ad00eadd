// The ledger against the orders (I6) on the real fleet: what both tell alike is no difference, and what was tampered
// with is one, until it is mended.
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/payment/v1/reconciliation_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using namespace payment::v1;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class OrderMatch : public testing::Test {
 protected:
  OrderMatch() {
    for (const char* service : {"inventory", "notify", "order"}) fleet.Start(service);
    fleet.Start("payment", {"--provider_secrets=secret", "--compare_orders_after=1h", "--reconcile_every=1s"});
    for (const char* instance : {"inventory-1", "notify-1", "order-1", "payment-1"}) fleet.WaitServing(instance);
    fleet.PutSku("thing", 100, 1000);
    fleet.OpenWallet("sue", 100'000);
  }
  order::v1::Order Create(const std::string& key, order::v1::PaymentMethod method = order::v1::PAYMENT_METHOD_WALLET) {
    const Result result = PlaceOrder(*fleet.orders(), "sue", key, {{"thing", 2}}, method);
    EXPECT_TRUE(result.status.ok()) << result;
    return result.order;
  }
  std::string Order(const std::string& key) { return Create(key).order_id(); }
  // Payment compares everything from now on.
  void Compare(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> all = {"--compare_orders_after=0s"};
    all.insert(all.end(), flags.begin(), flags.end());
    fleet.Kill("payment-1");
    fleet.Restart("payment-1", all);
  }
  // All that is open: order id and class.
  std::vector<std::pair<std::string, DifferenceClass>> Open() {
    ListDifferencesResponse listed;
    const auto stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
    EXPECT_TRUE(Call(*stub, &ReconciliationService::Stub::ListDifferences, "olga", {}, &listed).status.ok());
    std::vector<std::pair<std::string, DifferenceClass>> open;
    for (const Difference& d : listed.differences()) open.emplace_back(d.order_id(), d.class_());
    return open;
  }
  bool BecomesOpen(std::int64_t count) {
    return fleet.WaitForQuery("payment", "SELECT count(*) FROM difference WHERE state = 1", count, 60);
  }
  // Both logs have been compared to their ends, and nothing is being looked at.
  bool AllCompared() {
    const std::string last =
        absl::StrCat(fleet.Query("order", "SELECT position FROM event ORDER BY xid DESC, position DESC LIMIT 1"));
    return fleet.WaitForQuery(
        "payment",
        "SELECT (order_token LIKE '%." + last +
            "' AND (xid, transfer_id) >= (SELECT xid, transfer_id FROM transfer ORDER BY xid DESC, "
            "transfer_id DESC LIMIT 1) AND NOT EXISTS (SELECT FROM order_look))::int"
            " FROM order_match_cursor",
        1, 60);
  }
  void Tamper(const std::string& service, const std::string& change, const std::string& order) {
    fleet.Query(service, change + " WHERE order_id = '" + order + "' RETURNING 1");
  }
  Fleet fleet;
};

TEST_F(OrderMatch, WhatWasTamperedWithIsTheOnlyDifferenceUntilItIsMended) {
  Order("paid");
  CancelOrder(*fleet.orders(), "sue", Order("cancelled"));
  RefundOrder(*fleet.orders(), "sue", Order("part"), {"r", 70});
  RefundOrder(*fleet.orders(), "sue", Order("refunded"), {"r"});
  const order::v1::Order external = Create("external", order::v1::PAYMENT_METHOD_EXTERNAL);
  Create("awaiting", order::v1::PAYMENT_METHOD_EXTERNAL);
  ASSERT_EQ(Provider(fleet.payments(), "secret")
                .Send({.event_id = "e", .reference = external.payment_reference(), .amount = 200}),
            "");
  ASSERT_TRUE(
      fleet.WaitForQuery("order", "SELECT state FROM orders WHERE order_id = '" + external.order_id() + "'", 2, 60));
  const std::string unsold = Order("unsold"), more = Order("more"), stolen = Order("stolen"), given = Order("given");
  Tamper("order", "UPDATE orders SET state = 3", unsold);
  Tamper("order", "UPDATE orders SET total = 300", more);
  Tamper("order", "UPDATE orders SET user_id = 'tom'", stolen);
  // By an operator's hand, at payment alone.
  RefundRequest refund;
  refund.set_order_id(given);
  RefundResponse refunded;
  ASSERT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::Refund, "olga", refund, &refunded).status.ok());

  Compare();
  EXPECT_TRUE(BecomesOpen(4));
  fleet.WaitServing("payment-1");
  EXPECT_THAT(Open(), UnorderedElementsAre(Pair(unsold, DIFFERENCE_CLASS_ORDER_NOT_REFUNDED),
                                           Pair(more, DIFFERENCE_CLASS_ORDER_AMOUNT_DIFFERS),
                                           Pair(stolen, DIFFERENCE_CLASS_ORDER_MISSING),
                                           Pair(given, DIFFERENCE_CLASS_ORDER_NOT_CHARGED)));

  Tamper("order", "UPDATE orders SET state = 2", unsold);
  Tamper("order", "UPDATE orders SET total = 200", more);
  Tamper("order", "UPDATE orders SET user_id = 'sue'", stolen);
  EXPECT_TRUE(BecomesOpen(1));
  // The order is cancelled as well, which finds its money given back.
  EXPECT_TRUE(CancelOrder(*fleet.orders(), "sue", given).status.ok());
  EXPECT_TRUE(BecomesOpen(0));
  EXPECT_TRUE(AllCompared());
  EXPECT_THAT(Open(), IsEmpty());
  EXPECT_EQ(fleet.Check(), "");
}

// Nothing is told of orders that change while they are compared.
TEST_F(OrderMatch, OrdersUnderWayAreNoDifferences) {
  Compare();
  fleet.WaitServing("payment-1");
  for (int i = 0; i < 40; ++i) {
    const std::string id = Order(absl::StrCat("k", i));
    if (i % 4 == 1) CancelOrder(*fleet.orders(), "sue", id);
    if (i % 4 == 2) RefundOrder(*fleet.orders(), "sue", id, {"r", 50});
    if (i % 4 == 3) RefundOrder(*fleet.orders(), "sue", id, {"r"});
  }
  EXPECT_TRUE(AllCompared());
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM difference"), 0);
  EXPECT_EQ(fleet.Check(), "");
}

TEST_F(OrderMatch, StandsStillWhileOrderIsAwayAndPassesNothing) {
  const std::string unsold = Order("unsold");
  Tamper("order", "UPDATE orders SET state = 3", unsold);
  fleet.Kill("order-1");
  Compare();
  const auto failed = [&] {
    return fleet.Log("payment-1").find("the ledger is not compared with the orders") != std::string::npos;
  };
  EXPECT_TRUE(Eventually(failed, absl::Seconds(60)));
  EXPECT_EQ(
      fleet.Query("payment", "SELECT count(*) FROM order_match_cursor WHERE order_token = '' AND transfer_id = 0"), 1);
  fleet.Restart("order-1");
  EXPECT_TRUE(BecomesOpen(1));
  Tamper("order", "UPDATE orders SET state = 2", unsold);
  EXPECT_TRUE(BecomesOpen(0));
}

}  // namespace
}  // namespace flotilla::fleet
