// Clocks that are wrong by minutes, and clocks that are set while the fleet runs.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "fleet/provider.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

constexpr int kBuyers = 16;
constexpr absl::Duration kTenMinutes = absl::Minutes(10);

TEST(Clocks, InstancesThatAreTenMinutesApartWorkTogether) {
  Fleet fleet({.own_clocks = true});
  const std::map<std::string, std::vector<std::string>> flags = {
      {"inventory", {}},
      {"payment", {absl::StrCat("--provider_secrets=", kLoadProviderSecret)}},
      {"notify", {}},
      {"order", {"--payment_window=3s"}}};
  for (const auto& [service, more] : flags) {
    fleet.WaitServing(fleet.Start(service, more));
    fleet.WaitServing(fleet.Start(service, more));
  }
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1", "order-2"}, kBuyers, 2000, Flows::kAll);
  EXPECT_TRUE(load.Progresses(100));
  fleet.SetClock("inventory-2", -kTenMinutes);
  fleet.SetClock("payment-2", kTenMinutes);
  fleet.SetClock("notify-2", -kTenMinutes);
  fleet.SetClock("order-2", kTenMinutes);
  EXPECT_TRUE(load.Progresses(200));
  // Each takes over from one whose clock is another.
  for (const char* order : {"order-1", "order-2"}) {
    fleet.KillAndRestart(order);
    EXPECT_TRUE(load.Progresses(100));
  }
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// One sets the deadline, the other judges it, and the provider's timestamp as well: none of it by its machine's clock.
TEST(Clocks, PaymentDeadlinesAreTheSameForOrderAndPayment) {
  Fleet fleet({.own_clocks = true});
  fleet.Start("inventory");
  fleet.Start("payment", {"--provider_secrets=secret"});
  fleet.Start("notify");
  fleet.Start("order", {"--payment_window=2m"});
  fleet.Start("order", {"--payment_window=10s"});
  for (const char* name : {"inventory-1", "payment-1", "notify-1", "order-1", "order-2"}) fleet.WaitServing(name);
  fleet.PutSku("book", 100, 10);
  Provider provider(fleet.payments(), "secret");
  // Repeated, as clients do: a call that comes just when a clock is set may be answered before its deadline.
  const auto create = [&](const std::string& instance, const std::string& key) {
    Result created;
    EXPECT_TRUE(Eventually(
        [&] {
          created = CreateOrder(*fleet.orders(instance), "anna", key, {{"book", 1}}, 8000,
                                order::v1::PAYMENT_METHOD_EXTERNAL);
          return created.order.state() == order::v1::ORDER_STATE_AWAITING_PAYMENT;
        },
        absl::Seconds(60)))
        << order::v1::OrderState_Name(created.order.state()) << created.reason << created.order.cancel_reason();
    return created.order;
  };
  const auto becomes = [&](const order::v1::Order& order, order::v1::OrderState state) {
    return Eventually([&] { return GetOrder(*fleet.orders(), "anna", order.order_id()).order.state() == state; },
                      absl::Seconds(60));
  };
  for (const absl::Duration off : {-kTenMinutes, kTenMinutes}) {
    for (const bool from_start : {false, true}) {
      SCOPED_TRACE(absl::StrCat(absl::FormatDuration(off), from_start ? " from the start" : ", set while it runs"));
      for (const char* instance : {"order-1", "order-2"}) fleet.SetClock(instance, off);
      fleet.SetClock("payment-1", -off);
      if (from_start) {
        for (const char* instance : {"payment-1", "order-1", "order-2"}) fleet.KillAndRestart(instance);
      }
      const std::string key = absl::StrCat(absl::FormatDuration(off), from_start);
      const order::v1::Order paid = create("order-1", "paid" + key);
      EXPECT_EQ(provider.Send({.event_id = "evt" + key, .reference = paid.payment_reference(), .amount = 100}), "");
      EXPECT_TRUE(becomes(paid, order::v1::ORDER_STATE_PAID));
      // Dated by none of these clocks, so that the settlement counts from the right moment.
      const order::v1::Order dated = GetOrder(*fleet.orders(), "anna", paid.order_id()).order;
      for (const auto& time : {dated.create_time(), dated.update_time()}) {
        EXPECT_LT(absl::AbsDuration(absl::FromUnixSeconds(time.seconds()) - absl::Now()), kTenMinutes / 2);
      }
      const order::v1::Order unpaid = create("order-2", "unpaid" + key);
      EXPECT_TRUE(becomes(unpaid, order::v1::ORDER_STATE_CANCELLED));
      EXPECT_EQ(GetOrder(*fleet.orders(), "anna", unpaid.order_id()).order.cancel_reason(), "PAYMENT_EXPIRED");
    }
  }
  EXPECT_EQ(fleet.Check(), "");
}

// Set back, a clock must not stretch a pause; set forward, it must not end a lease or a saga before its time.
TEST(Clocks, AClockThatIsSetStretchesNoWait) {
  Fleet fleet({.own_clocks = true});
  fleet.StartAll();
  Load::Prepare(fleet, kBuyers);
  for (const absl::Duration off : {-kTenMinutes, absl::ZeroDuration(), kTenMinutes, absl::ZeroDuration()}) {
    SCOPED_TRACE(off);
    Load load(fleet, {"order-1"}, kBuyers, 2000);
    EXPECT_TRUE(load.Progresses(50));
    // Sagas that wait for their next attempt, connections that wait to be made again.
    fleet.Kill("payment-1");
    fleet.StopServer("redis");
    EXPECT_TRUE(
        Eventually([&] { return fleet.Query("order", "SELECT count(*) FROM saga") >= kBuyers; }, absl::Seconds(60)));
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.SetClock(instance, off);
    fleet.StartServer("redis");
    fleet.Restart("payment-1");
    fleet.WaitServing("payment-1");
    EXPECT_TRUE(load.Progresses(50));
    load.Stop();
    EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 60));
  }
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
