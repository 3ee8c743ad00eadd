// Clocks that are wrong by minutes, and clocks that are set while the fleet runs.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

constexpr int kBuyers = 16;
constexpr int kTenMinutes = 600;

// Calendar clocks of instances: see clock_shim.cpp.
class Clocks : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::map<std::string, std::string> Clock(const std::string& instance, int seconds_off) {
    Set(instance, seconds_off);
    return {{"LD_PRELOAD", CLOCK_SHIM}, {"CLOCK_OFFSET_FILE", folder_ / instance}};
  }
  // Written in place: the process has it mapped.
  void Set(const std::string& instance, int seconds_off) {
    const std::int64_t nanoseconds = std::int64_t{seconds_off} * 1'000'000'000;
    std::fstream file(folder_ / instance, std::ios::in | std::ios::out | std::ios::binary);
    if (!file) file.open(folder_ / instance, std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(&nanoseconds), sizeof(nanoseconds));
  }

  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() / absl::StrCat("clocks-", getpid());
};

TEST_F(Clocks, InstancesThatAreTenMinutesApartWorkTogether) {
  Fleet fleet;
  const std::map<std::string, std::vector<std::string>> flags = {
      {"payment", {absl::StrCat("--provider_secrets=", kLoadProviderSecret)}}, {"order", {"--payment_window=3s"}}};
  const std::map<std::string, int> off = {
      {"inventory", -kTenMinutes}, {"payment", kTenMinutes}, {"notify", -kTenMinutes}, {"order", kTenMinutes}};
  for (const auto& [service, seconds] : off) {
    const auto more = flags.contains(service) ? flags.at(service) : std::vector<std::string>();
    fleet.WaitServing(fleet.Start(service, more));
    fleet.WaitServing(fleet.Start(service, more, Clock(absl::StrCat(service, "-2"), seconds)));
  }
  Load::Prepare(fleet, kBuyers);
  Load load(fleet, {"order-1", "order-2"}, kBuyers, 2000, Flows::kAll);
  EXPECT_TRUE(load.Progresses(300));
  // Each takes over from one whose clock is another.
  for (const char* order : {"order-1", "order-2"}) {
    fleet.KillAndRestart(order);
    EXPECT_TRUE(load.Progresses(100));
  }
  load.Stop();
  EXPECT_EQ(fleet.Check(), "");
}

// Set back, a clock must not stretch a pause; set forward, it must not end a lease or a saga before its time.
TEST_F(Clocks, AClockThatIsSetStretchesNoWait) {
  Fleet fleet;
  for (const char* service : {"inventory", "payment", "notify", "order"}) {
    fleet.WaitServing(fleet.Start(service, {}, Clock(absl::StrCat(service, "-1"), 0)));
  }
  Load::Prepare(fleet, kBuyers);
  for (const int off : {-kTenMinutes, 0, kTenMinutes, 0}) {
    SCOPED_TRACE(off);
    Load load(fleet, {"order-1"}, kBuyers, 300);
    EXPECT_TRUE(load.Progresses(50));
    // Sagas that wait for their next attempt, connections that wait to be made again.
    fleet.Kill("payment-1");
    fleet.StopServer("redis");
    EXPECT_TRUE(Eventually([&] { return fleet.Query("order", "SELECT count(*) FROM saga") >= kBuyers; }));
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) Set(instance, off);
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
