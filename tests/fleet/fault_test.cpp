// Crashes and outages under load: calls go on or fail cleanly, and afterwards every promise holds.
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "fleet/stall_watch.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_PAID;
using order::v1::ORDER_STATE_RESERVED;

TEST(Fault, KilledOrderServiceFinishesItsSagasAfterRestart) {
  Fleet fleet;
  fleet.StartAll();
  Load::Prepare(fleet, 32);
  Load load(fleet, {"order-1"}, 32);
  for (int kill = 0; kill < 3; ++kill) {
    ASSERT_TRUE(load.Progresses(200)) << "before kill " << kill;
    fleet.KillAndRestart("order-1");
  }
  EXPECT_TRUE(load.Progresses());
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Fault, KilledInventoryAndPaymentLoseNothing) {
  Fleet fleet;
  fleet.StartAll();
  Load::Prepare(fleet, 32);
  Load load(fleet, {"order-1"}, 32);
  for (const char* victim : {"inventory-1", "payment-1", "notify-1"}) {
    ASSERT_TRUE(load.Progresses(200)) << "before " << victim;
    fleet.KillAndRestart(victim);
  }
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// Which calls failed.
std::string JoinAndLeave() {
  Fleet fleet;
  fleet.StartAll();
  Load::Prepare(fleet, 16);
  Load load(fleet, {"order-1"}, 16, 10000);
  const std::string second = fleet.Start("inventory");
  const std::string other = fleet.Start("payment");
  fleet.WaitServing(second);
  fleet.WaitServing(other);
  EXPECT_TRUE(Eventually([&] { return fleet.Listed("inventory") == 2 && fleet.Listed("payment") == 2; }));
  std::this_thread::sleep_for(std::chrono::seconds(1));  // order is told
  for (const char* leaver : {"inventory-1", "payment-1"}) {
    fleet.process(leaver).Signal(SIGTERM);
    EXPECT_EQ(fleet.process(leaver).Wait(30), 0) << leaver;
    EXPECT_TRUE(load.Progresses()) << leaver;
  }
  const std::string failed = load.failures();
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
  return failed;
}

// A leaver that deregisters and drains costs no call.
TEST(Fault, CallsGoOnWhileInstancesJoinAndLeave) { ExpectNoneFails(JoinAndLeave); }

std::string LoseEtcd() {
  Fleet fleet;
  fleet.StartAll();
  Load::Prepare(fleet, 16);
  Load load(fleet, {"order-1"}, 16, 10000);
  EXPECT_TRUE(load.Progresses());
  fleet.StopServer("etcd");
  std::this_thread::sleep_for(std::chrono::seconds(12));  // longer than a lease
  EXPECT_TRUE(load.Progresses());
  const std::string failed = load.failures();
  fleet.StartServer("etcd");
  // The first instances leave, so what is known from before the outage is worthless.
  const std::string second = fleet.Start("inventory");
  fleet.WaitServing(second);
  fleet.process("inventory-1").Signal(SIGTERM);
  EXPECT_EQ(fleet.process("inventory-1").Wait(30), 0);
  EXPECT_TRUE(load.Progresses());
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
  return failed;
}

TEST(Fault, CallsGoOnWithoutEtcdAndItIsUsedAgainAfterwards) { ExpectNoneFails(LoseEtcd); }

TEST(Fault, DependencyThatIsDownGivesUnavailableInTime) {
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("down", 10, 100);
  fleet.OpenWallet("dora", 1000);
  auto stub = fleet.orders();
  ASSERT_EQ(PlaceOrder(*stub, "dora", "warm", {{"down", 1}}).order.state(), ORDER_STATE_PAID);

  fleet.Kill("inventory-1");
  // Before the client's deadline, which would be another code.
  const Result result = CreateOrder(*stub, "dora", "k1", {{"down", 1}}, 10000);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAVAILABLE) << result;
  fleet.Restart("inventory-1");
  fleet.WaitServing("inventory-1");
  // Order has found it again.
  ASSERT_EQ(PlaceOrder(*stub, "dora", "k1", {{"down", 1}}).order.state(), ORDER_STATE_PAID);

  // With payment away the order stands reserved and goes on by itself when payment is back.
  fleet.Kill("payment-1");
  const Result waiting = CreateOrder(*stub, "dora", "k2", {{"down", 1}}, 10000);
  EXPECT_TRUE(waiting.status.ok()) << waiting;
  EXPECT_EQ(waiting.order.state(), ORDER_STATE_RESERVED);
  fleet.Restart("payment-1");
  fleet.WaitServing("payment-1");
  EXPECT_EQ(PlaceOrder(*stub, "dora", "k2", {{"down", 1}}).order.state(), ORDER_STATE_PAID);

  // Redis is only the gate: without it SQL decides.
  fleet.StopServer("redis");
  EXPECT_TRUE(CreateOrder(*stub, "dora", "k3", {{"down", 1}}).status.ok());
  EXPECT_EQ(PlaceOrder(*stub, "dora", "k3", {{"down", 1}}).order.state(), ORDER_STATE_PAID);
  fleet.StartServer("redis");
  // NATS away: orders go on, events wait.
  fleet.StopServer("nats");
  EXPECT_TRUE(CreateOrder(*stub, "dora", "k4", {{"down", 1}}).status.ok());
  EXPECT_EQ(PlaceOrder(*stub, "dora", "k4", {{"down", 1}}).order.state(), ORDER_STATE_PAID);
  fleet.StartServer("nats");
  EXPECT_EQ(fleet.Check(), "");
}

// NATS acknowledged the events, nobody had handled them yet.
TEST(Fault, EventsThatNatsForgotAreHandledAllTheSame) {
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("forget", 1, 100);
  fleet.OpenWallet("nora", 1000);
  auto stub = fleet.orders();
  ASSERT_EQ(PlaceOrder(*stub, "nora", "before", {{"forget", 1}}).order.state(), ORDER_STATE_PAID);
  fleet.Kill("notify-1");
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(PlaceOrder(*stub, "nora", absl::StrCat("k", i), {{"forget", 1}}).order.state(), ORDER_STATE_PAID);
  }
  const std::int64_t events = fleet.Query("order", "SELECT count(*) FROM event");
  ASSERT_TRUE(fleet.WaitForQuery("order", "SELECT published FROM relay_cursor", events, 30));
  fleet.StopServer("nats");
  fleet.WipeServer("nats");
  fleet.StartServer("nats");
  fleet.Restart("notify-1");
  EXPECT_TRUE(fleet.WaitForQuery("notify", "SELECT count(*) FROM handled_event", events, 60));
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Fault, RedisThatLostEverythingIsHealedFromSql) {
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("flush", 1, 10);
  fleet.OpenWallet("flo", 1000);
  auto stub = fleet.orders();
  for (int i = 0; i < 10; ++i) {
    if (i % 3 == 1) {
      fleet.StopServer("redis");
      fleet.StartServer("redis");
    }
    const std::string key = "k" + std::to_string(i);
    const Result first = CreateOrder(*stub, "flo", key, {{"flush", 1}});
    EXPECT_TRUE(first.status.ok()) << i << ": " << first;
    EXPECT_EQ(PlaceOrder(*stub, "flo", key, {{"flush", 1}}).order.state(), ORDER_STATE_PAID) << i;
  }
  EXPECT_EQ(PlaceOrder(*stub, "flo", "one-more", {{"flush", 1}}).reason, "OUT_OF_STOCK");
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Fault, ServicesWaitForTheirDependenciesInAnyOrder) {
  Fleet fleet;
  for (const char* server : {"redis", "etcd", "nats"}) fleet.StopServer(server);
  for (const char* service : {"order", "notify", "payment", "inventory"}) fleet.Start(service);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  for (const char* name : {"order-1", "notify-1", "payment-1", "inventory-1"})
    EXPECT_TRUE(fleet.process(name).alive()) << name;
  for (const char* server : {"nats", "etcd", "redis"}) fleet.StartServer(server);
  for (const char* name : {"order-1", "notify-1", "payment-1", "inventory-1"}) fleet.WaitServing(name);
  fleet.PutSku("late", 1, 10);
  fleet.OpenWallet("lara", 10);
  EXPECT_EQ(PlaceOrder(*fleet.orders(), "lara", "k", {{"late", 1}}).order.state(), ORDER_STATE_PAID);
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Fault, TermEndsEveryServiceCleanly) {
  Fleet fleet;
  fleet.StartAll();
  for (const char* name : {"order-1", "inventory-1", "payment-1", "notify-1"}) {
    fleet.process(name).Signal(SIGTERM);
    EXPECT_EQ(fleet.process(name).Wait(15), 0) << name;
  }
}

}  // namespace
}  // namespace flotilla::fleet
