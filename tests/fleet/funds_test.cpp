// I2, I5 and I6 under concurrent load of every kind of payment, while payment and its database are killed.
#include "fleet/funds.h"

#include <thread>

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
      return created.status.ok();
    };
    ASSERT_TRUE(Eventually(create, absl::Seconds(90))) << created.status.error_message();
    const std::string id = created.order.order_id();
    provider.Storm(created.order.payment_reference(), 70, static_cast<unsigned>(n));
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

TEST(Funds, BalanceThroughKillsOfPaymentAndPostgres) {
  Fleet fleet({.own_postgres = true});
  const std::vector<std::string> instances = {
      fleet.Start("inventory"), fleet.Start("payment", {"--provider_secrets=secret", "--settle_after=1s"}),
      fleet.Start("notify"), fleet.Start("order")};
  for (const std::string& instance : instances) fleet.WaitServing(instance);
  Load::Prepare(fleet, kBuyers);
  Funds::Prepare(*fleet.payments(), 50);
  fleet.PutSku("external", 70, 1000000);

  Load load(fleet, {"order-1"}, kBuyers);
  Funds funds({fleet.channel("payment-1"), fleet.channel("payment-1")}, kFlows, 50, 1);
  std::atomic<bool> stop = false;
  std::atomic<int> paid = 0;
  std::thread external([&] { PayExternally(fleet, stop, paid); });
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_TRUE(funds.Progresses());
    EXPECT_TRUE(load.Progresses(50));
    fleet.Kill("payment-1");
    fleet.Restart("payment-1");
    // In one round while payment starts, in the others under load.
    if (round != 1) fleet.WaitServing("payment-1", 60);
    fleet.postgres().Kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(300 * round));
    fleet.postgres().Start();
    for (const std::string& instance : instances) fleet.WaitServing(instance, 60);
  }
  EXPECT_TRUE(funds.Progresses());
  EXPECT_TRUE(load.Progresses(50));
  EXPECT_TRUE(Eventually([&] { return paid >= 4; }, absl::Seconds(90)));
  stop = true;
  external.join();
  funds.Stop();
  load.Stop();
  EXPECT_GT(funds.unanswered(), 0) << "no kill met a call";
  EXPECT_EQ(fleet.Check(), "");
  // Every word of the provider was taken once.
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind = 7"), paid);
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM refund r JOIN charge c USING (order_id) WHERE c.method = 2"),
            (paid + 1) / 2);
  EXPECT_GT(fleet.Query("payment", "SELECT count(*) FROM charge WHERE settled > 0"), 0);
}

}  // namespace
}  // namespace flotilla::fleet
