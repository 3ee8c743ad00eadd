// What Subscribe streams cost one notify instance, idle and under load, and how long a notification takes to its
// subscriber. Needs the servers that tests/run starts:
//   FLOTILLA_TEST_POSTGRES=... FLOTILLA_TEST_BIN=build/release/bin flotilla-bench-events --rate=2000 --subscribers=5000
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "subscribers.h"
#include "testing/eventually.h"

ABSL_FLAG(int, rate, 2000, "paid orders a second");
ABSL_FLAG(int, buyers, 200, "users that order, all of them subscribers");
ABSL_FLAG(int, subscribers, 5000, "streams on one notify instance");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(20), "of the load, and of the idle time before it");

namespace flotilla {
namespace {

constexpr int kSkus = 100;
constexpr int kChannels = 50;

// Of a process, so far.
struct Usage {
  double cpu_seconds = 0;
  double resident_mb = 0;
};

Usage UsageOf(int pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  std::ifstream memory(absl::StrCat("/proc/", pid, "/statm"));
  double size = 0, resident = 0;
  memory >> size >> resident;
  return {.cpu_seconds = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)),
          .resident_mb = resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20)};
}

double Milliseconds(const std::vector<absl::Duration>& sorted, double quantile) {
  if (sorted.empty()) return 0;
  return absl::ToDoubleMilliseconds(
      sorted[static_cast<std::size_t>(quantile * static_cast<double>(sorted.size() - 1))]);
}

bool Run() {
  const int count = absl::GetFlag(FLAGS_subscribers), buyers = absl::GetFlag(FLAGS_buyers);
  const double seconds = absl::ToDoubleSeconds(absl::GetFlag(FLAGS_duration));
  fleet::Fleet fleet;
  for (const char* service : {"inventory", "payment", "order"}) fleet.WaitServing(fleet.Start(service));
  fleet.WaitServing(fleet.Start("notify", {"--heartbeat=5s"}));
  for (int i = 0; i < kSkus; ++i) fleet.PutSku(absl::StrCat("sku-", i), 10, 10'000'000);
  for (int i = 0; i < buyers; ++i) fleet.OpenWallet(absl::StrCat("user-", i), 1'000'000'000);
  const int pid = fleet.process("notify-1").pid();

  const Usage alone = UsageOf(pid);
  bench::Subscribers subscribers(fleet.address("notify-1"), count, kChannels);
  if (!Eventually([&] { return subscribers.open() == count; }, absl::Seconds(120))) {
    std::cout << "WRONG: " << subscribers.open() << " of " << count << " streams are open\n";
    return false;
  }
  const Usage idle = UsageOf(pid);
  std::printf("%d subscribers: %.0f MB with them, %.0f without: %.1f KB each\n", count, idle.resident_mb,
              alone.resident_mb, (idle.resident_mb - alone.resident_mb) * 1024 / count);
  absl::SleepFor(absl::GetFlag(FLAGS_duration));
  const Usage rested = UsageOf(pid);
  std::printf("idle, a heartbeat each 5 s: %.1f us of CPU a second and subscriber\n",
              (rested.cpu_seconds - idle.cpu_seconds) / seconds / count * 1e6);

  const std::filesystem::path log =
      std::filesystem::temp_directory_path() / absl::StrCat("flotilla-bench-events-", getpid());
  Process load({TestBin() + "/flotilla-load", "--orders=" + fleet.address("order-1"),
                absl::StrCat("--rate=", absl::GetFlag(FLAGS_rate)), absl::StrCat("--buyers=", buyers),
                absl::StrCat("--skus=", kSkus),
                absl::StrCat("--duration=", absl::FormatDuration(absl::GetFlag(FLAGS_duration)))},
               log.string());
  absl::SleepFor(absl::Seconds(2));  // its first orders meet cold caches
  subscribers.TakeLatencies();
  const std::int64_t before = subscribers.received();
  const Usage began = UsageOf(pid);
  const absl::Time start = absl::Now();
  const int result = load.Wait(static_cast<int>(seconds) + 60);
  const Usage ended = UsageOf(pid);
  const double took = absl::ToDoubleSeconds(absl::Now() - start);
  const std::vector<absl::Duration> latencies = subscribers.TakeLatencies();
  const double received = static_cast<double>(subscribers.received() - before);
  std::cout << load.Output();
  std::filesystem::remove(log);
  std::printf("%.0f notifications/s to %d subscribers, %.1f us of notify's CPU each, %.0f MB\n", received / took, count,
              (ended.cpu_seconds - began.cpu_seconds) / received * 1e6, ended.resident_mb);
  std::printf(
      "from the event's time, just before its commit, to the subscriber: p50 %.1f ms, p99 %.1f ms, longest %.1f ms\n",
      Milliseconds(latencies, 0.5), Milliseconds(latencies, 0.99), Milliseconds(latencies, 1));
  const std::string violations = fleet.Check();
  std::cout << (violations.empty() ? "no promise is broken\n" : violations) << std::flush;
  return result == 0 && violations.empty() && !latencies.empty();
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("what subscribers cost, and how soon they hear");
  absl::ParseCommandLine(argc, argv);
  return flotilla::Run() ? 0 : 1;
}
