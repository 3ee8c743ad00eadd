// What a data centre does to a fleet: its servers die and forget, its links are slow, cut or lose answers, its disks
// are full.
#include <cstring>
#include <fstream>
#include <iostream>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/disk.h"
#include "fleet/fleet.h"
#include "fleet/flood.h"
#include "fleet/load.h"
#include "fleet/stall_watch.h"
#include "gtest/gtest.h"
#include "registry/etcd.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_PAID;

constexpr int kBuyers = 16;

TEST(Outage, PostgresKilledUnderLoad) {
  Fleet fleet({.own_postgres = true});
  fleet.StartAll();
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1"}, kBuyers);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(load.Progresses(100));
    fleet.postgres().Kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(500 * round));
    fleet.postgres().Start();
  }
  EXPECT_TRUE(load.Progresses(100));
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// What a service reads before it serves is asked for until it is answered.
TEST(Outage, ServicesStartBeforeTheirDatabase) {
  Fleet fleet({.own_postgres = true});
  const std::vector<std::string> services = {"inventory", "payment", "notify", "order"};
  for (const std::string& service : services) fleet.WaitServing(fleet.Start(service));
  for (const std::string& service : services) fleet.Kill(service + "-1");
  fleet.postgres().Kill();
  // The schema is there, and looking for it would be the first patient step.
  for (const std::string& service : services) fleet.Restart(service + "-1", {"--migrations=skip"});
  std::this_thread::sleep_for(std::chrono::seconds(2));
  for (const std::string& service : services) EXPECT_TRUE(fleet.process(service + "-1").alive()) << service;
  fleet.postgres().Start();
  for (const std::string& service : services) fleet.WaitServing(service + "-1");
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1"}, kBuyers);
  EXPECT_TRUE(load.Progresses(100));
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// COMMIT arrives, its answer does not: the service must find out what became of it.
TEST(Outage, CutOffDuringCommit) {
  for (const char* service : {"order", "inventory", "payment", "notify"}) {
    SCOPED_TRACE(service);
    Fleet fleet({.own_postgres = true});
    Proxy link(fleet.postgres().port());
    for (const char* each : {"order", "inventory", "payment", "notify"}) {
      std::vector<std::string> flags;
      if (std::string(each) == service) {
        flags.push_back(
            absl::StrCat("--postgres=postgresql://postgres@127.0.0.1:", link.port(), "/", fleet.Database(each)));
      }
      fleet.WaitServing(fleet.Start(each, flags));
    }
    Load::Prepare(fleet, kBuyers);
    Load load(fleet, {"order-1"}, kBuyers);
    ASSERT_TRUE(load.Progresses(50));
    for (int round = 0; round < 2; ++round) {
      link.CutAfter("COMMIT", 2);
      EXPECT_TRUE(Eventually([&] { return link.cuts_left() <= 0; }, absl::Seconds(60))) << "no commit passed";
      EXPECT_TRUE(load.Progresses(20));
    }
    load.Stop();
    EXPECT_EQ(fleet.Check(), "");
  }
}

// Which calls failed.
std::string RevokeLeases() {
  Fleet fleet;
  fleet.StartAll();
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1"}, kBuyers, 10000);
  EXPECT_TRUE(load.Progresses());
  registry::Etcd etcd(absl::StrCat("127.0.0.1:", fleet.port("etcd")));
  etcdserverpb::RangeResponse keys;
  const auto all_listed = [&] {
    const auto list = etcd.List("/flotilla/services/");
    if (list.ok()) keys = *list;
    return list.ok() && keys.kvs_size() == 4;
  };
  EXPECT_TRUE(Eventually(all_listed, absl::Seconds(60)));
  for (const auto& kv : keys.kvs()) {
    EXPECT_TRUE(Eventually([&] {
      const absl::Status status = etcd.Revoke(kv.lease());
      return status.ok() || absl::IsNotFound(status);
    }));
  }
  EXPECT_TRUE(load.Progresses());
  EXPECT_TRUE(Eventually(all_listed, absl::Seconds(60))) << "they do not register again";
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
  return load.failures();
}

TEST(Outage, EtcdLeasesRevoked) { ExpectNoneFails(RevokeLeases); }

TEST(Outage, LinksThatAreSlowCutOrLoseAnswers) {
  Fleet fleet;
  Proxy to_inventory, to_payment;
  const std::string inventory = fleet.StartBehind(to_inventory, "inventory");
  const std::string payment = fleet.StartBehind(to_payment, "payment");
  for (const std::string& name : {inventory, payment, fleet.Start("notify"), fleet.Start("order")}) {
    fleet.WaitServing(name);
  }
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1"}, kBuyers, 5000);
  for (Proxy* link : {&to_inventory, &to_payment}) {
    ASSERT_TRUE(load.Progresses());
    link->SetDelay(absl::Milliseconds(250));  // 500 ms there and back
    EXPECT_TRUE(load.Progresses(20)) << "over a slow link";
    link->Heal();
    ASSERT_TRUE(load.Progresses());
    link->SwallowAnswers();
    std::this_thread::sleep_for(std::chrono::seconds(3));
    link->Heal();
    EXPECT_TRUE(load.Progresses()) << "after a link that lost answers";
    link->Cut();
    std::this_thread::sleep_for(std::chrono::seconds(3));
    link->Heal();
    EXPECT_TRUE(load.Progresses()) << "after a cut";
  }
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

std::int64_t ResidentKilobytes(int pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    std::int64_t kilobytes = 0;
    if (line.starts_with("VmRSS:") && absl::SimpleAtoi(line.substr(6, line.find("kB") - 6), &kilobytes)) {
      return kilobytes;
    }
  }
  return 0;
}

// Orders keep coming while a dependency answers a hundred times slower: each is answered within its time or
// turned away, what waits takes a bounded place, reading goes on, and afterwards all is as before.
TEST(Outage, ADependencyAHundredTimesSlowerIsShedNotSuffered) {
  constexpr absl::Duration kTimeout = absl::Seconds(20);
  constexpr double kRate = 100;  // orders a second, so that the machine itself is not what is too slow
  // Twice what so many sagas would take, each with all its calls. A sanitizer keeps what is freed for a while.
  constexpr std::int64_t kMaxGrowthKilobytes = kSanitized ? 1'000'000 : 100'000;
  Fleet fleet;
  Proxy to_payment;
  const std::string payment = fleet.StartBehind(to_payment, "payment");
  for (const std::string& name : {payment, fleet.Start("inventory"), fleet.Start("notify"), fleet.Start("order")}) {
    fleet.WaitServing(name);
  }
  for (int i = 0; i < kBuyers; ++i) {
    fleet.PutSku(absl::StrCat("sku-", i), 10, 1'000'000);
    fleet.OpenWallet(absl::StrCat("user-", i), 100'000'000);
  }
  const auto flood = [&](const std::string& run, absl::Duration time) {
    return Flood({.address = fleet.address("order-1"),
                  .run = run,
                  .users = kBuyers,
                  .skus = kBuyers,
                  .timeout = kTimeout,
                  .log = true})
        .Open(kRate, time);
  };
  const Answers before = flood("before", absl::Seconds(3));
  ASSERT_GT(before.by_outcome.at("OK"), 0);
  const std::int64_t resident = ResidentKilobytes(fleet.process("order-1").pid());
  ASSERT_GT(resident, 0);

  to_payment.SetDelay(absl::Seconds(1));
  Answers during;
  StallWatch watch;
  // What a machine offers and answers that stands still meanwhile tells nothing.
  for (int round = 0; round == 0 || (round < 3 && watch.Stalled()); ++round) {
    if (round == 0) watch.Stalled();
    std::thread crowd([&] { during = flood(absl::StrCat("during", round), absl::Seconds(15)); });
    for (int i = 0; i < 20; ++i) {
      // Reading needs no payment, and is not held up by those that wait for it.
      const Result read = GetOrder(*fleet.orders(), "user-0", "00000000-0000-0000-0000-000000000000");
      EXPECT_EQ(read.reason, "UNKNOWN_ORDER") << read;
      EXPECT_LT(ResidentKilobytes(fleet.process("order-1").pid()), resident + kMaxGrowthKilobytes);
      absl::SleepFor(absl::Milliseconds(500));
    }
    crowd.join();
    EXPECT_LT(ResidentKilobytes(fleet.process("order-1").pid()), resident + kMaxGrowthKilobytes);
    EXPECT_EQ(during.answered, during.sent);
  }
  EXPECT_GE(during.sent, 10 * kRate);
  EXPECT_LT(during.slowest, kTimeout) << "neither answered nor shed";
  for (const auto& [outcome, count] : during.by_outcome) {
    EXPECT_TRUE(outcome == "OK" || outcome == "RESOURCE_EXHAUSTED OVERLOADED" ||
                outcome == "RESOURCE_EXHAUSTED SERVER_BUSY" || outcome == "RESOURCE_EXHAUSTED USER_RATE_LIMITED" ||
                outcome == "UNAVAILABLE NO_INSTANCE" || outcome == "UNAVAILABLE OUTCOME_UNKNOWN" ||
                outcome.starts_with("DEADLINE_EXCEEDED"))  // of a call inside the fleet, passed on
        << outcome << ": " << count;
  }
  EXPECT_EQ(during.shed_without_delay, 0);

  to_payment.Heal();
  // What waited ends, and whoever comes now is served at once.
  EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 120));
  EXPECT_TRUE(Eventually(
      [&] {
        static int n = 0;
        const Result result = CreateOrder(*fleet.orders(), "user-0", absl::StrCat("after-", ++n), {{"sku-0", 1}}, 2000);
        return result.status.ok() && result.order.state() == ORDER_STATE_PAID;
      },
      absl::Seconds(60)));
  const Answers after = flood("after", absl::Seconds(3));
  EXPECT_GT(after.by_outcome.at("OK"), 0);
  std::cout << "orders answered: " << before.by_outcome.at("OK") << " in 3 s before, " << during.by_outcome["OK"]
            << " in 15 s during (shed: " << during.shed << "), " << after.by_outcome.at("OK") << " in 3 s after\n";
  EXPECT_EQ(fleet.Check(), "");
}

// Each order that cannot go on takes memory until it can.
TEST(Outage, OrdersAreRefusedWhereTooManyCannotGoOn) {
  constexpr int kMost = 40;
  Fleet fleet;
  for (const char* service : {"inventory", "payment", "notify"}) fleet.WaitServing(fleet.Start(service));
  fleet.WaitServing(fleet.Start("order", {absl::StrCat("--max_sagas=", kMost)}));
  Load::Prepare(fleet, kBuyers);
  fleet.Kill("payment-1");
  const auto stub = fleet.orders();
  Result result;
  int accepted = 0;
  for (int i = 0; i < 10 * kMost && result.reason != "TOO_MANY_OPEN_ORDERS"; ++i) {
    // By the same key until it is answered, so that no open order is unknown here.
    result = CreateOrder(*stub, "load-user0", absl::StrCat("k", accepted), {{"load0", 1}}, 1000);
    if (!result.status.ok()) continue;
    ++accepted;
    ASSERT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", accepted, 30)) << accepted;
  }
  EXPECT_EQ(result.reason, "TOO_MANY_OPEN_ORDERS") << result;
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << result;
  EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", kMost, 30));
  fleet.Restart("payment-1");
  EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 120));
  const Result taken = PlaceOrder(*stub, "load-user0", "later", {{"load0", 1}});
  EXPECT_EQ(taken.order.state(), ORDER_STATE_PAID) << taken;
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Outage, PostgresDiskFull) {
  const Disk disk(300);
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a tmpfs here: " << std::strerror(errno);
  Fleet fleet({.own_postgres = true,
               .postgres_folder = disk.path(),
               .postgres_settings = {"fsync=off", "min_wal_size=32MB", "max_wal_size=64MB"}});
  fleet.StartAll();
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1"}, kBuyers);
  ASSERT_TRUE(load.Progresses());
  const int before = load.failed();
  disk.Fill();
  EXPECT_TRUE(Eventually([&] { return load.failed() > before + kBuyers; }, absl::Seconds(60))) << "it never got full";
  disk.Empty();
  fleet.postgres().Kill();  // it gave up, or would at its next segment
  fleet.postgres().Start();
  EXPECT_TRUE(load.Progresses());
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
