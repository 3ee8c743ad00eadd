// flotilla-bench-funds: payments of every kind against the payment service, with the log of every call that
// flotilla-check compares with the ledger, call by call. Calls without an answer are asked again, so the service and
// its database may be killed meanwhile. Prints how many there were. Exit 0: all came to their end.
#include <cstdio>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "fleet/funds.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, payment, "", "host:port of the payment service");
ABSL_FLAG(std::string, client_log, "/dev/null", "file for flotilla-check --client_log");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(30), "how long");
ABSL_FLAG(int, threads, 128, "calls in flight");
ABSL_FLAG(int, users, 1000, "wallets, user-0 ...");
ABSL_FLAG(int, run, 1, "another number for every run on the same database");

namespace {

using flotilla::fleet::Funds;

constexpr int kChannels = 4;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), args);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("payments of every kind; flotilla-bench-funds --payment=127.0.0.1:17003 --duration=30s");
  absl::ParseCommandLine(argc, argv);
  const int threads = absl::GetFlag(FLAGS_threads), users = absl::GetFlag(FLAGS_users);
  if (absl::GetFlag(FLAGS_payment).empty() || threads < 1 || users < 1) {
    std::cerr << "flotilla-bench-funds: --payment must be set, --threads and --users positive; see --help\n";
    return 2;
  }
  flotilla::fleet::LogCallsTo(absl::GetFlag(FLAGS_client_log));
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < kChannels; ++i) channels.push_back(Connect(absl::GetFlag(FLAGS_payment)));
  Funds::Prepare(*flotilla::payment::v1::PaymentService::NewStub(channels[0]), users);
  const absl::Time start = absl::Now();
  Funds funds(channels, threads, users, absl::GetFlag(FLAGS_run));
  absl::SleepFor(absl::GetFlag(FLAGS_duration));
  funds.Stop();
  std::printf("    %d payments, %.0f/s, calls that got no answer and were asked again: %d\n", funds.payments(),
              funds.payments() / absl::ToDoubleSeconds(absl::Now() - start), funds.unanswered());
  return funds.payments() > 0 ? 0 : 1;
}
