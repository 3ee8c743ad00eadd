// Clocks that are wrong by minutes, and clocks that are set while the fleet runs.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
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

// Set back, a clock must not stretch a pause; set forward, it must not end a lease or a saga before its time.
TEST(Clocks, AClockThatIsSetStretchesNoWait) {
  Fleet fleet({.own_clocks = true});
  fleet.StartAll();
  Load::Prepare(fleet, kBuyers);
  for (const absl::Duration off : {-kTenMinutes, absl::ZeroDuration(), kTenMinutes, absl::ZeroDuration()}) {
    SCOPED_TRACE(off);
    Load load(fleet, {"order-1"}, kBuyers, 300);
    EXPECT_TRUE(load.Progresses(50));
    // Sagas that wait for their next attempt, connections that wait to be made again.
    fleet.Kill("payment-1");
    fleet.StopServer("redis");
    EXPECT_TRUE(Eventually([&] { return fleet.Query("order", "SELECT count(*) FROM saga") >= kBuyers; }));
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.SetClock(instance, off);
    fleet.StartServer("redis");
    fleet.Restart("payment-1");
    fleet.WaitServing("payment-1");
    EXPECT_TRUE(load.Progresses(50));
    load.Stop();
    EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 30));
  }
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
