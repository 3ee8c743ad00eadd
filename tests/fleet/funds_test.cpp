// I2, I5 and I6 under concurrent load of every kind of payment, while payment and its database are killed.
#include "fleet/funds.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "fleet/provider.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_PAID;

constexpr int kBuyers = 8;
constexpr int kFlows = 16;
constexpr int kRounds = 3;

// Orders paid to the external provider, whose storm of callbacks goes on until each was heard; half of them are
// refunded in part by two clients at once.
void PayExternally(Fleet& fleet, std::atomic<bool>& stop, std::atomic<int>& paid) {
  const auto orders = fleet.orders();
  Provider provider(fleet.payments(), "secret");
  for (int n = 0; !stop; ++n) {
    const std::string key = absl::StrCat("ext-", n);
    Result created;
    const auto create = [&] {
      created = CreateOrder(*orders, "exa", key, {{"external", 1}}, 2000, order::v1::PAYMENT_METHOD_EXTERNAL);
      // Reserved only, it has none yet.
      return created.status.ok() && !created.order.payment_reference().empty();
    };
    ASSERT_TRUE(Eventually(create, absl::Seconds(90))) << created;
    const std::string id = created.order.order_id();
    ASSERT_EQ(provider.Storm(created.order.payment_reference(), 70, static_cast<unsigned>(n)), "") << created;
    const auto is_paid = [&] { return GetOrder(*orders, "exa", id).order.state() == ORDER_STATE_PAID; };
    ASSERT_TRUE(Eventually(is_paid, absl::Seconds(90))) << id;
    if (n % 2 == 0) {
      const auto refund = [&] {
        EXPECT_TRUE(Eventually([&] { return RefundOrder(*fleet.orders(), "exa", id, {"r", 20}, 2000).status.ok(); },
                               absl::Seconds(90)));
      };
      std::thread other(refund);
      refund();
      other.join();
    }
    ++paid;
  }
}

// Load of every kind on these instances of payment, disturbed several times; each of them gets the same calls.
void Endure(Fleet& fleet, const std::vector<std::string>& payments, const std::function<void(int)>& disturb) {
  Load::Prepare(fleet, kBuyers);
  Funds::Prepare(*fleet.payments(), 50);
  fleet.PutSku("external", 70, 1000000);

  Load load(fleet, {"order-1"}, kBuyers);
  std::vector<std::unique_ptr<Funds>> funds;
  for (const std::string& payment : payments) {
    funds.push_back(std::make_unique<Funds>(std::vector{fleet.channel(payment), fleet.channel(payment)},
                                            kFlows / static_cast<int>(payments.size()), 50, 1));
  }
  const auto progresses = [&] {
    for (const auto& each : funds) EXPECT_TRUE(each->Progresses());
    EXPECT_TRUE(load.Progresses(50));
  };
  std::atomic<bool> stop = false;
  std::atomic<int> paid = 0;
  std::thread external([&] { PayExternally(fleet, stop, paid); });
  for (int round = 0; round < kRounds; ++round) {
    progresses();
    disturb(round);
  }
  progresses();
  EXPECT_TRUE(Eventually([&] { return paid >= 4; }, absl::Seconds(90)));
  stop = true;
  external.join();
  int unanswered = 0;
  for (const auto& each : funds) {
    each->Stop();
    unanswered += each->unanswered();
  }
  load.Stop();
  EXPECT_GT(unanswered, 0) << "no kill met a call";
  EXPECT_EQ(fleet.Check(), "");
  // Every word of the provider was taken once.
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind = 7"), paid);
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM refund r JOIN charge c USING (order_id) WHERE c.method = 2"),
            (paid + 1) / 2);
  // The turn of an instance that was killed with it comes again after 30 s.
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT (count(*) > 0)::int FROM charge WHERE settled > 0", 1, 90));
}

std::string StartPayment(Fleet& fleet) {
  return fleet.Start("payment", {"--provider_secrets=secret", "--settle_after=1s"});
}

TEST(Funds, BalanceThroughKillsOfPaymentAndPostgres) {
  Fleet fleet({.own_postgres = true});
  const std::vector<std::string> instances = {fleet.Start("inventory"), StartPayment(fleet), fleet.Start("notify"),
                                              fleet.Start("order")};
  for (const std::string& instance : instances) fleet.WaitServing(instance);
  Endure(fleet, {"payment-1"}, [&](int round) {
    fleet.Kill("payment-1");
    fleet.Restart("payment-1");
    // In one round while payment starts, in the others under load.
    if (round != 1) fleet.WaitServing("payment-1", 60);
    fleet.postgres().Kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(300 * round));
    fleet.postgres().Start();
    for (const std::string& instance : instances) fleet.WaitServing(instance, 60);
  });
}

// Two instances do the same payments side by side, each killed in turn, in one round both.
TEST(Funds, BalanceThroughKillsOfTwoPaymentsSideBySide) {
  Fleet fleet;
  const std::vector<std::string> payments = {StartPayment(fleet), StartPayment(fleet)};
  const std::vector<std::string> others = {fleet.Start("inventory"), fleet.Start("notify"), fleet.Start("order")};
  for (const auto* group : {&payments, &others}) {
    for (const std::string& instance : *group) fleet.WaitServing(instance);
  }
  Endure(fleet, payments, [&](int round) {
    for (const std::string& payment : payments) {
      fleet.Kill(payment);
      if (round == 1) continue;
      fleet.Restart(payment);
      fleet.WaitServing(payment, 60);
    }
    if (round != 1) return;
    for (const std::string& payment : payments) fleet.Restart(payment);
    for (const std::string& payment : payments) fleet.WaitServing(payment, 60);
  });
}

}  // namespace
}  // namespace flotilla::fleet
