// flotilla-load: orders at a steady rate against one or more instances, with the retry that deploy/README.md documents:
// UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED and RESOURCE_EXHAUSTED are asked again with the same idempotency key, up to
// --attempts times, after 50 ms that double up to a second, with jitter, or what RetryInfo says. Writes the log that
// flotilla-check reads. Ends after --duration, or at SIGTERM. Exit 0: every call was answered; 1: some failed for good;
// 2: could not begin.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "fleet/fleet.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, orders, "", "order instances: ip:port[,ip:port...], or a name to resolve as dns:///order:7000");
ABSL_FLAG(std::string, identity, "", "folder of deploy/local/dev-ca, for a fleet with --auth=on");
ABSL_FLAG(std::string, run, "load", "prefix of the idempotency keys; another one for every run");
ABSL_FLAG(std::string, client_log, "/dev/null", "file for flotilla-check --client_log");
ABSL_FLAG(double, rate, 100, "orders a second");
ABSL_FLAG(int, buyers, 64, "users that order at once, user-0 ...");
ABSL_FLAG(int, skus, 10, "SKUs they buy, sku-0 ...");
ABSL_FLAG(int, attempts, 6, "times a call is sent at most");
ABSL_FLAG(absl::Duration, duration, absl::InfiniteDuration(), "how long; default: until SIGTERM");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(2), "deadline of one attempt");

namespace {

using flotilla::fleet::Result;
using OrderService = flotilla::order::v1::OrderService;

std::atomic<bool> stop = false;

struct Tally {
  std::mutex mutex;
  std::map<std::string, int> outcomes;
  std::vector<double> seconds;
  int retries = 0;
  int failed = 0;
};

// Instances that drain say so by their health, and the channel leaves them before they refuse calls.
std::shared_ptr<grpc::Channel> Connect(const std::string& addresses) {
  grpc::ChannelArguments args;
  args.SetLoadBalancingPolicyName("round_robin");
  args.SetServiceConfigJSON(R"({"healthCheckConfig": {"serviceName": ""}})");
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  args.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 500);
  const bool named = addresses.find("//") != std::string::npos;
  const auto credentials = flotilla::fleet::ClientCredentials(absl::GetFlag(FLAGS_identity));
  if (!absl::GetFlag(FLAGS_identity).empty()) args.SetSslTargetNameOverride("order.flotilla");  // not each address
  return grpc::CreateCustomChannel(named ? addresses : "ipv4:" + addresses, credentials, args);
}

bool Retriable(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::DEADLINE_EXCEEDED ||
         code == grpc::StatusCode::ABORTED || code == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

Result Order(OrderService::Stub& stub, const std::string& user, const std::string& key, const std::string& sku,
             std::minstd_rand& random, int* retries) {
  const int timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(absl::GetFlag(FLAGS_timeout)));
  for (int attempt = 1, pause_ms = 50;; ++attempt, pause_ms = std::min(pause_ms * 2, 1000)) {
    Result result = flotilla::fleet::CreateOrder(stub, user, key, {{sku, 1}}, timeout_ms);
    if (!Retriable(result.status.error_code()) || attempt >= absl::GetFlag(FLAGS_attempts)) return result;
    ++*retries;
    const double jitter = 0.5 + 0.5 * static_cast<double>(random() % 1000) / 1000;
    absl::SleepFor(std::max(absl::Milliseconds(pause_ms * jitter), result.retry_delay));
  }
}

void Buy(int buyer, std::shared_ptr<grpc::Channel> channel, absl::Time until, Tally& tally) {
  const auto stub = OrderService::NewStub(channel);
  const std::string user = absl::StrCat("user-", buyer);
  const absl::Duration period = absl::Seconds(absl::GetFlag(FLAGS_buyers) / absl::GetFlag(FLAGS_rate));
  std::minstd_rand random(static_cast<unsigned>(buyer + 1));
  absl::Time next = absl::Now() + period * (static_cast<double>(random() % 1000) / 1000);
  for (int n = 0; !stop && next < until; ++n, next += period) {
    absl::SleepFor(next - absl::Now());
    const std::string sku = absl::StrCat("sku-", random() % static_cast<unsigned>(absl::GetFlag(FLAGS_skus)));
    const absl::Time sent = absl::Now();
    int retries = 0;
    const Result result = Order(*stub, user, absl::StrCat(absl::GetFlag(FLAGS_run), "-", n), sku, random, &retries);
    const std::lock_guard lock(tally.mutex);
    tally.seconds.push_back(absl::ToDoubleSeconds(absl::Now() - sent));
    tally.retries += retries;
    if (Retriable(result.status.error_code())) ++tally.failed;
    ++tally.outcomes[result.status.ok() ? flotilla::order::v1::OrderState_Name(result.order.state())
                                        : absl::StrCat("code ", result.status.error_code(), " ", result.reason, " ",
                                                       result.status.error_message())];
  }
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "orders at a steady rate; flotilla-load --orders=127.0.0.1:7001 --rate=100 --duration=30s");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_orders).empty() || absl::GetFlag(FLAGS_rate) <= 0 || absl::GetFlag(FLAGS_buyers) < 1) {
    std::cerr << "flotilla-load: --orders must be set, --rate and --buyers positive; see --help\n";
    return 2;
  }
  std::signal(SIGTERM, [](int) { stop = true; });
  flotilla::fleet::LogCallsTo(absl::GetFlag(FLAGS_client_log));
  if (const std::string identity = absl::GetFlag(FLAGS_identity); !identity.empty()) {
    flotilla::fleet::SignCallsWith(identity + "/token.key");
  }

  Tally tally;
  const absl::Time start = absl::Now();
  const absl::Time until = start + absl::GetFlag(FLAGS_duration);
  const auto channel = Connect(absl::GetFlag(FLAGS_orders));
  std::vector<std::thread> threads;
  for (int i = 0; i < absl::GetFlag(FLAGS_buyers); ++i) threads.emplace_back([&, i] { Buy(i, channel, until, tally); });
  for (auto& thread : threads) thread.join();

  std::sort(tally.seconds.begin(), tally.seconds.end());
  const std::size_t calls = tally.seconds.size();
  std::cout << "calls " << calls << ", " << calls / absl::ToDoubleSeconds(absl::Now() - start) << "/s, retries "
            << tally.retries << ", failed " << tally.failed << "\n";
  for (const auto& [outcome, count] : tally.outcomes) std::cout << "  " << outcome << ": " << count << "\n";
  if (calls > 0) {
    std::cout << "  with retries: p50 " << tally.seconds[calls / 2] * 1000 << " ms, p99 "
              << tally.seconds[calls * 99 / 100] * 1000 << " ms, longest " << tally.seconds.back() * 1000 << " ms\n";
  }
  return tally.failed == 0 && calls > 0 ? 0 : 1;
}
