// What Subscribe streams cost one notify instance, idle and under load, and how long a notification takes to its
// subscriber. Needs the servers that tests/run starts:
//   FLOTILLA_TEST_POSTGRES=... FLOTILLA_TEST_BIN=build/release/bin flotilla-bench-events --rate=2000 --subscribers=5000
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/flood.h"
#include "gateways/gateways.h"
#include "subscribers.h"
#include "testing/eventually.h"
#include "usage.h"

ABSL_FLAG(int, rate, 2000, "paid orders a second");
ABSL_FLAG(int, batch, 1, "orders a call: one by CreateOrder, more by BatchCreateOrders");
ABSL_FLAG(int, buyers, 200, "users that order, all of them subscribers");
ABSL_FLAG(int, subscribers, 5000, "streams on one notify instance");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(20), "of the load, and of the idle time before it");

namespace flotilla {
namespace {

constexpr int kSkus = 100;
constexpr int kChannels = 50;
constexpr char kPaid[] = "SELECT count(*) FROM event WHERE type = 'order.paid'";
constexpr const char* kProcesses[] = {"order-1", "inventory-1", "payment-1", "notify-1", "nats", "postgres"};

using bench::Usage;
using bench::UsageOf;

// When an event happened, and when its transaction committed.
struct Beginning {
  absl::Time occurred, committed;
};
std::unordered_map<std::string, Beginning> Beginnings(const fleet::Fleet& fleet) {
  std::unordered_map<std::string, Beginning> events;
  pqxx::connection connection(fleet.DatabaseUri("order"));
  for (const auto& row :
       pqxx::nontransaction(connection)
           .exec("SELECT event_id, (extract(epoch FROM occurred_at) * 1000000)::bigint,"
                 " (extract(epoch FROM pg_xact_commit_timestamp(xid::text::xid)) * 1000000)::bigint FROM event")) {
    events[row[0].c_str()] = {absl::FromUnixMicros(row[1].as<std::int64_t>()),
                              absl::FromUnixMicros(row[2].as<std::int64_t>())};
  }
  return events;
}

// PostgreSQL fills each new 16 MB file of its log with zeros while every commit waits, and later uses it again. A
// server that has been running for a while only does the latter, so the files are made before anything is measured.
void MakeLogFiles(const std::string& uri) {
  constexpr int kFiles = 30;
  pqxx::connection connection(uri);
  pqxx::nontransaction work(connection);
  work.exec("CREATE TABLE log_filler (n int)");
  for (int i = 0; i < kFiles; ++i) {
    work.exec("INSERT INTO log_filler VALUES (1)");
    work.exec("SELECT pg_switch_wal()");
  }
  work.exec("DROP TABLE log_filler");
  work.exec("CHECKPOINT");
}

void Print(const char* from, const char* to, std::vector<absl::Duration> latencies) {
  if (latencies.empty()) return;
  std::ranges::sort(latencies);
  const auto quantile = [&latencies](double q) {
    return absl::ToDoubleMilliseconds(
        latencies[static_cast<std::size_t>(q * static_cast<double>(latencies.size() - 1))]);
  };
  std::printf("%s to %s: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, longest %.1f ms\n", from, to, quantile(0.5),
              quantile(0.9), quantile(0.99), quantile(1));
}

// At the rate, whatever is answered: call by call from one thread, so that the load takes little of the cores that it
// is to load, or gathered by gateways.
bench::BatchAnswers PlaceOrders(const std::string& address, int buyers) {
  constexpr int kGateways = 20;
  const int batch = absl::GetFlag(FLAGS_batch);
  const double rate = absl::GetFlag(FLAGS_rate);
  if (batch > 1) {
    return bench::SendBatches({.address = address,
                               .run = "events",
                               .gateways = kGateways,
                               .batch = batch,
                               .users = buyers,
                               .skus = kSkus,
                               .rate = rate},
                              absl::GetFlag(FLAGS_duration));
  }
  fleet::Flood flood({.address = address,
                      .run = "events",
                      .connections = 1,
                      .users = buyers,
                      .skus = kSkus,
                      .timeout = absl::Seconds(5)});
  const fleet::Answers flooded = flood.Open(rate, absl::GetFlag(FLAGS_duration));
  bench::BatchAnswers answers;
  answers.by_outcome = flooded.by_outcome;
  for (const auto& second : flooded.seconds) {
    for (const float ms : second.milliseconds) answers.latencies.push_back(absl::Milliseconds(ms));
  }
  return answers;
}

bool Run() {
  const int count = absl::GetFlag(FLAGS_subscribers), buyers = absl::GetFlag(FLAGS_buyers);
  const double seconds = absl::ToDoubleSeconds(absl::GetFlag(FLAGS_duration));
  // As deploy/local has it.
  fleet::Fleet fleet(
      {.own_postgres = true,
       .postgres_settings = {"shared_buffers=256MB", "min_wal_size=1GB", "max_wal_size=4GB", "wal_compression=on",
                             "checkpoint_timeout=15min", "track_commit_timestamp=on"}});
  MakeLogFiles(fleet.postgres().uri());
  const int order_metrics = FreePort(), notify_metrics = FreePort();
  for (const char* service : {"inventory", "payment"}) fleet.WaitServing(fleet.Start(service));
  fleet.WaitServing(fleet.Start("order", {absl::StrCat("--metrics_listen=127.0.0.1:", order_metrics)}));
  fleet.WaitServing(
      fleet.Start("notify", {"--heartbeat=5s", absl::StrCat("--metrics_listen=127.0.0.1:", notify_metrics)}));
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

  bench::BatchAnswers answers;
  std::thread load([&] { answers = PlaceOrders(fleet.address("order-1"), buyers); });
  absl::SleepFor(absl::Seconds(2));  // its first orders meet cold caches
  subscribers.TakeArrivals();
  const std::int64_t before = subscribers.received();
  const bench::Ages order_before = bench::AgesAt(order_metrics), notify_before = bench::AgesAt(notify_metrics);
  std::map<std::string, Usage> began;
  const auto usage = [&fleet](const std::string& process) {
    return UsageOf(process == "postgres" ? fleet.postgres().pid() : fleet.process(process).pid());
  };
  for (const char* process : kProcesses) began[process] = usage(process);
  const std::int64_t paid_before = fleet.Query("order", kPaid);
  const absl::Time start = absl::Now();
  load.join();
  const double took = absl::ToDoubleSeconds(absl::Now() - start);
  const double paid = static_cast<double>(fleet.Query("order", kPaid) - paid_before);
  for (const auto& [outcome, orders] : answers.by_outcome) {
    std::printf("orders answered %s: %lld\n", outcome.c_str(), static_cast<long long>(orders));
  }
  Print("from the call", "its answer", std::move(answers.latencies));
  std::printf("%.0f paid orders/s; CPU of each:", paid / took);
  std::map<std::string, Usage> ended;
  for (const char* process : kProcesses) {
    ended[process] = usage(process);
    std::printf(" %s %.0f us", process, (ended[process].cpu_seconds - began[process].cpu_seconds) / paid * 1e6);
  }
  const double received = static_cast<double>(subscribers.received() - before);
  std::printf("\n%.0f notifications/s to %d subscribers, %.1f us of notify's CPU each, %.0f MB\n", received / took,
              count, (ended["notify-1"].cpu_seconds - began["notify-1"].cpu_seconds) / received * 1e6,
              ended["notify-1"].resident_mb);

  const bench::Ages order_after = bench::AgesAt(order_metrics), notify_after = bench::AgesAt(notify_metrics);
  std::printf("age of an event when it is");
  for (const char* stage : {"read", "published", "received", "applied", "streamed"}) {
    const bool order = std::string_view(stage) == "read" || std::string_view(stage) == "published";
    const auto quantile = [&](double q) {
      return bench::QuantileMs(order ? order_before : notify_before, order ? order_after : notify_after, stage, q);
    };
    std::printf(" %s p50 %.0f p99 %.0f ms;", stage, quantile(0.5), quantile(0.99));
  }
  std::printf("\n");
  // Whoever is still waiting counts, too: of each order two events.
  const std::int64_t ordered = fleet.Query("order", kPaid);
  if (!Eventually([&] { return subscribers.received() >= 2 * ordered; }, absl::Seconds(30))) {
    std::cout << "WRONG: " << subscribers.received() << " of " << 2 * ordered << " notifications arrived\n";
    return false;
  }
  const std::unordered_map<std::string, Beginning> events = Beginnings(fleet);
  std::vector<absl::Duration> from_time, from_commit;
  for (const auto& [event_id, at] : subscribers.TakeArrivals()) {
    const auto event = events.find(event_id);
    if (event == events.end()) continue;
    from_time.push_back(at - event->second.occurred);
    from_commit.push_back(at - event->second.committed);
  }
  Print("from the event's time", "the subscriber", from_time);
  Print("from the commit", "the subscriber", from_commit);
  const std::string violations = fleet.Check();
  std::cout << (violations.empty() ? "no promise is broken\n" : violations) << std::flush;
  const bool all_paid = answers.by_outcome.size() == 1 && answers.by_outcome.begin()->second == ordered;
  if (!all_paid) std::cout << "WRONG: " << ordered << " orders are paid\n";
  return all_paid && violations.empty() && !from_commit.empty();
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("what subscribers cost, and how soon they hear");
  absl::ParseCommandLine(argc, argv);
  return flotilla::Run() ? 0 : 1;
}
