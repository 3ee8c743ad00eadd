// Sagas that change their coordinator: frozen, killed, or claimed by two at once.
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_PAID;

constexpr int kBuyers = 16;

// Three order services, one of everything else.
class Takeover : public testing::Test {
 protected:
  void SetUp() override {
    fleet.StartAll();
    for (int i = 0; i < 2; ++i) fleet.WaitServing(fleet.Start("order"));
    Load::Prepare(fleet, kBuyers);
  }
  // Sagas that were begun and wait, as in an outage of payment; returns how many.
  int Orphans(const std::string& owner) {
    fleet.Kill("payment-1");
    {
      Load load(fleet, {owner}, kBuyers, 2000);
      EXPECT_TRUE(Eventually([&] { return Open() >= kBuyers; }, absl::Seconds(60)));
    }
    return static_cast<int>(Open());
  }
  std::int64_t Open() { return fleet.Query("order", "SELECT count(*) FROM saga"); }
  bool Leads(const std::string& order) { return fleet.Log(order).find("relay: leading") != std::string::npos; }
  std::string RelayLeader() {
    std::string leader;
    EXPECT_TRUE(Eventually([&] {
      for (const char* order : {"order-1", "order-2", "order-3"}) {
        if (Leads(order)) leader = order;
      }
      return !leader.empty();
    }));
    return leader;
  }
  static std::vector<std::string> Others(const std::string& leader) {
    std::vector<std::string> others = {"order-1", "order-2", "order-3"};
    std::erase(others, leader);
    return others;
  }
  Fleet fleet;
};

// The lease is 1.5 s. When it goes on, the frozen one finds its sagas ended by others, and ends nothing twice.
TEST_F(Takeover, AFrozenCoordinatorThatWakesUpDoesNoHarm) {
  Load load(fleet, {"order-1", "order-2"}, kBuyers);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(load.Progresses(100));
    fleet.process("order-1").Signal(SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(4));
    fleet.process("order-1").Signal(SIGCONT);
  }
  EXPECT_TRUE(load.Progresses(100));
  load.Stop();
  EXPECT_GT(fleet.Query("order", "SELECT count(*) FROM saga_history WHERE kind = 2"), 0) << "nothing was taken over";
  EXPECT_EQ(fleet.Check(), "");
}

TEST_F(Takeover, AKilledRelayIsReplacedAtOnce) {
  const std::string leader = RelayLeader();
  const std::vector<std::string> others = Others(leader);
  Load load(fleet, {others[0]}, kBuyers);
  EXPECT_TRUE(load.Progresses(100));
  fleet.Kill(leader);
  const absl::Time killed = absl::Now();
  ASSERT_TRUE(Eventually([&] { return Leads(others[0]) || Leads(others[1]); }, absl::Seconds(30)));
  std::cout << "another one leads " << absl::FormatDuration(absl::Now() - killed) << " after the kill\n";
  EXPECT_TRUE(load.Progresses(100));
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// Who leads the relay holds a lock of its session: frozen, it would have held up every event.
TEST_F(Takeover, AFrozenRelayLosesItsLead) {
  const std::string leader = RelayLeader();
  fleet.process(leader).Signal(SIGSTOP);
  Load load(fleet, {Others(leader).front()}, kBuyers);
  EXPECT_TRUE(load.Progresses(100));
  load.Stop();
  const std::int64_t events = fleet.Query("order", "SELECT count(*) FROM event");
  EXPECT_TRUE(
      fleet.WaitForQuery("notify", absl::StrCat("SELECT (count(*) >= ", events, ")::int FROM handled_event"), 1, 60));
  fleet.process(leader).Signal(SIGCONT);
  EXPECT_EQ(fleet.Check(), "");
}

TEST_F(Takeover, OrphansAreTakenByOneEachWhileTwoClaim) {
  const int orphans = Orphans("order-1");
  fleet.Kill("order-1");
  fleet.Restart("payment-1");
  fleet.WaitServing("payment-1");
  EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 120));
  // Each was taken over by one of the two that live: by another only when the lease of that one was over.
  EXPECT_GE(fleet.Query("order", "SELECT count(DISTINCT id) FROM saga_history WHERE kind = 2"), orphans);
  EXPECT_EQ(fleet.Query("order",
                        "SELECT count(*) FROM (SELECT at - lag(at) OVER (PARTITION BY id ORDER BY at) AS apart "
                        "FROM saga_history WHERE kind = 2) takeover WHERE apart < interval '1.5 s'"),
            0);
  EXPECT_EQ(fleet.Check(), "");
}

TEST_F(Takeover, AKilledCoordinatorsSagasAreGoingOnWithinSeconds) {
  Orphans("order-1");
  fleet.Restart("payment-1");
  fleet.WaitServing("payment-1");
  fleet.Kill("order-1");
  const absl::Time killed = absl::Now();
  EXPECT_TRUE(Eventually([&] { return Open() == 0; }, absl::Seconds(30)));
  std::cout << "all ended " << absl::FormatDuration(absl::Now() - killed) << " after the kill\n";
  EXPECT_EQ(fleet.Check(), "");
}

// The coordinator gave up on a Confirm whose answer was late, and compensates: whichever comes first, nothing is sold
// and nothing stays reserved.
TEST(Compensation, RacingALateConfirmLeavesTheStockRight) {
  using inventory::v1::InventoryService;
  constexpr int kRounds = 200;
  Fleet fleet;
  for (int i = 0; i < 2; ++i) fleet.WaitServing(fleet.Start("inventory"));
  fleet.PutSku("raced", 100, 3);
  const auto one = fleet.inventory("inventory-1"), two = fleet.inventory("inventory-2");
  int confirmed_first = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string id = absl::StrFormat("00000000-0000-8000-8000-%012d", round);
    inventory::v1::ReserveRequest reserve;
    reserve.set_order_id(id);
    reserve.add_lines()->set_sku("raced");
    reserve.mutable_lines(0)->set_quantity(3);  // all there is: the next round needs every unit back
    reserve.mutable_hold()->set_seconds(60);
    inventory::v1::ReserveResponse reserved;
    ASSERT_TRUE(Call(*one, &InventoryService::Stub::Reserve, "", reserve, &reserved).status.ok()) << round;
    Result late;
    std::thread confirm([&] {
      inventory::v1::ConfirmRequest request;
      request.set_order_id(id);
      inventory::v1::ConfirmResponse response;
      late = Call(*two, &InventoryService::Stub::Confirm, "", request, &response);
    });
    inventory::v1::ReleaseRequest release;
    release.set_order_id(id);
    release.set_return_sold(true);
    inventory::v1::ReleaseResponse released;
    const Result back = Call(*one, &InventoryService::Stub::Release, "", release, &released);
    confirm.join();
    EXPECT_TRUE(back.status.ok()) << back;
    if (late.status.ok()) ++confirmed_first;
    const auto stock = fleet.Stock("raced");
    EXPECT_EQ(stock.available(), 3);
    EXPECT_EQ(stock.reserved(), 0);
    EXPECT_EQ(stock.sold(), 0);
  }
  std::cout << "the confirmation came first in " << confirmed_first << " of " << kRounds << " rounds\n";
}

// The payment is slow, so the hold has run out when the stock is to be confirmed: what was charged goes back, also
// where the coordinator is killed on the way.
TEST(Compensation, MoneyGoesBackWhereTheHoldRanOutMeanwhile) {
  constexpr int kOrders = 20;
  Fleet fleet;
  Proxy slow;
  for (const char* service : {"inventory", "notify"}) fleet.WaitServing(fleet.Start(service));
  fleet.WaitServing(fleet.StartBehind(slow, "payment"));
  fleet.WaitServing(fleet.Start("order", {"--reservation_hold=1s"}));
  fleet.PutSku("sku", 100, kOrders);
  for (int i = 0; i < kOrders; ++i) fleet.OpenWallet(absl::StrCat("user", i), 1000);
  slow.SetDelay(absl::Milliseconds(700));
  std::vector<std::thread> buyers;
  for (int i = 0; i < kOrders; ++i) {
    buyers.emplace_back(
        [&fleet, i] { CreateOrder(*fleet.orders(), absl::StrCat("user", i), "k", {{"sku", 1}}, 20000); });
  }
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT (count(*) > 0)::int FROM charge", 1, 20));
  fleet.KillAndRestart("order-1");
  for (auto& buyer : buyers) buyer.join();
  slow.SetDelay(absl::ZeroDuration());
  EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 30));
  EXPECT_GT(fleet.Query("order", "SELECT count(*) FROM orders WHERE cancel_reason = 'RESERVATION_EXPIRED'"), 0);
  EXPECT_GT(fleet.Query("payment", "SELECT count(*) FROM refund"), 0);
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
