// The provider's word against the deadline and against the customer's cancellation, at the same moment, many times:
// whichever comes first, the money is where the order says.
#include <algorithm>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_AWAITING_PAYMENT;
using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;

constexpr std::int64_t kPrice = 100;

class PaymentRace : public testing::Test {
 protected:
  PaymentRace() : seed(std::random_device()()), random(seed) {
    for (const char* service : {"inventory", "notify"}) fleet.Start(service);
    for (int i = 0; i < 2; ++i) fleet.Start("payment", {"--provider_secrets=secret"});
    fleet.Start("order");
    fleet.Start("order", {"--payment_window=15s"});
    for (const char* instance : {"inventory-1", "payment-1", "payment-2", "notify-1", "order-1", "order-2"}) {
      fleet.WaitServing(instance);
    }
    fleet.PutSku("thing", kPrice, 100000);
  }

  // Orders that await payment.
  std::vector<order::v1::Order> Create(const std::string& instance, int count, const std::string& name) {
    std::vector<order::v1::Order> created(static_cast<std::size_t>(count));
    Together(count, [&](int i) {
      const Result result = PlaceOrder(*fleet.orders(instance), "rae", absl::StrCat(name, i), {{"thing", 1}},
                                       order::v1::PAYMENT_METHOD_EXTERNAL);
      EXPECT_EQ(result.order.state(), ORDER_STATE_AWAITING_PAYMENT) << result;
      created[static_cast<std::size_t>(i)] = result.order;
    });
    return created;
  }
  static void Together(int count, const std::function<void(int)>& each) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(each, i);
    for (auto& thread : threads) thread.join();
  }
  void SayPaid(const order::v1::Order& order, const std::string& instance) {
    Provider provider(fleet.payments(instance), "secret");
    EXPECT_EQ(
        provider.Send({.event_id = "e-" + order.order_id(), .reference = order.payment_reference(), .amount = kPrice}),
        "");
  }
  absl::Duration Jitter(int from_ms, int to_ms) {
    return absl::Milliseconds(std::uniform_int_distribution<int>(from_ms, to_ms)(random));
  }
  // Every order has come to its end, what was paid for is sold, and the provider owes just that. How many are paid.
  int ExpectBalanced(const std::vector<order::v1::Order>& orders) {
    int paid = 0;
    for (const auto& order : orders) {
      order::v1::OrderState state = ORDER_STATE_AWAITING_PAYMENT;
      EXPECT_TRUE(Eventually(
          [&] {
            state = GetOrder(*fleet.orders(), "rae", order.order_id()).order.state();
            return state == ORDER_STATE_PAID || state == ORDER_STATE_CANCELLED;
          },
          absl::Seconds(90)))
          << order.order_id();
      if (state == ORDER_STATE_PAID) ++paid;
    }
    EXPECT_EQ(fleet.Check(), "");
    EXPECT_EQ(fleet.Query("payment", "SELECT -balance FROM account WHERE kind = 7"), paid * kPrice);
    EXPECT_EQ(fleet.Stock("thing").sold(), paid);
    EXPECT_EQ(fleet.Stock("thing").reserved(), 0);
    return paid;
  }
  std::int64_t Told(const std::string& type) {
    return fleet.Query("payment", "SELECT count(*) FROM event WHERE type = '" + type + "'");
  }

  const unsigned seed;
  std::minstd_rand random;
  Fleet fleet;
};

TEST_F(PaymentRace, TheWordAndACancellation) {
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  constexpr int kRounds = 10, kMostRounds = 30, kOrders = 20;
  // Each word was in time or too late.
  const auto both = [this] { return Told("payment.succeeded") > 0 && Told("payment.late_refunded") > 0; };
  std::vector<order::v1::Order> all;
  int jitter = 20;
  for (int round = 0; round < kRounds || (round < kMostRounds && !both()); ++round) {
    // Where one is always the first, it has to come further apart from the other.
    if (round >= kRounds) jitter = std::min(2 * jitter, 1000);
    const auto orders = Create("order-1", kOrders, absl::StrCat("c", round, "-"));
    std::vector<absl::Duration> lead(kOrders);
    for (auto& time : lead) time = Jitter(-jitter, jitter);
    const absl::Time start = absl::Now() + absl::Milliseconds(50);
    Together(2 * kOrders, [&](int i) {
      const auto& order = orders[static_cast<std::size_t>(i / 2)];
      const absl::Duration ahead = lead[static_cast<std::size_t>(i / 2)];
      absl::SleepFor(start + (i % 2 == 0 ? ahead : -ahead) - absl::Now());
      if (i % 2 == 0) {
        SayPaid(order, i % 4 == 0 ? "payment-1" : "payment-2");
      } else {
        const Result result = CancelOrder(*fleet.orders(), "rae", order.order_id());
        EXPECT_TRUE(result.status.ok() || result.reason == "ORDER_BUSY") << result;
      }
    });
    all.insert(all.end(), orders.begin(), orders.end());
  }
  ExpectBalanced(all);
  EXPECT_EQ(Told("payment.succeeded") + Told("payment.late_refunded"), static_cast<std::int64_t>(all.size()));
  EXPECT_GT(Told("payment.succeeded"), 0);
  EXPECT_GT(Told("payment.late_refunded"), 0);
}

TEST_F(PaymentRace, TheWordAndTheDeadline) {
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  constexpr int kRounds = 3, kOrders = 40;
  std::vector<order::v1::Order> all;
  for (int round = 0; round < kRounds; ++round) {
    const auto orders = Create("order-2", kOrders, absl::StrCat("d", round, "-"));
    std::vector<absl::Duration> after(kOrders);
    for (std::size_t i = 0; i < after.size(); ++i) after[i] = i % 4 == 0 ? Jitter(-1000, 1000) : Jitter(-50, 50);
    Together(kOrders, [&](int i) {
      const auto& order = orders[static_cast<std::size_t>(i)];
      const absl::Time deadline = absl::FromUnixSeconds(order.pay_by_time().seconds());
      absl::SleepFor(deadline + after[static_cast<std::size_t>(i)] - absl::Now());
      SayPaid(order, i % 2 == 0 ? "payment-1" : "payment-2");
    });
    all.insert(all.end(), orders.begin(), orders.end());
  }
  const int paid = ExpectBalanced(all);
  EXPECT_EQ(Told("payment.succeeded"), paid);
  EXPECT_EQ(Told("payment.late_refunded"), kRounds * kOrders - paid);
  EXPECT_GT(paid, 0);
  EXPECT_LT(paid, kRounds * kOrders);
}

}  // namespace
}  // namespace flotilla::fleet
