// flotilla-check: are the fleet's promises I1 to I8 kept? One line a promise on stdout.
// Exit 0: none is violated; 1: some are; 2: it could not be judged (usage, an unreachable server, a malformed log).
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "checker/checker.h"

ABSL_FLAG(std::string, order_postgres, "", "connection string of the order service's database");
ABSL_FLAG(std::string, inventory_postgres, "", "connection string of the inventory service's database");
ABSL_FLAG(std::string, payment_postgres, "", "connection string of the payment service's database");
ABSL_FLAG(std::string, notify_postgres, "", "connection string of the notify service's database");
ABSL_FLAG(std::string, redis, "", "host:port of the inventory service's Redis");
ABSL_FLAG(int, gate_segments, 1, "the inventory service's flag of that name");
ABSL_FLAG(std::string, client_log, "", "file of JSON lines: what clients saw (tests/checker/client_log.h)");
ABSL_FLAG(bool, quiescent, false, "the fleet is at rest: no call under way, sagas ended, events delivered");
ABSL_FLAG(bool, allow_parked, false, "parked sagas do not violate I7");
ABSL_FLAG(absl::Duration, redis_patience, absl::Seconds(10), "how long Redis may take to agree with SQL");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "judges the promises I1 to I8; what needs a database that is not given is skipped.\n"
      "  flotilla-check --quiescent --order_postgres=... --inventory_postgres=... --payment_postgres=... "
      "--notify_postgres=... --redis=127.0.0.1:6379 [--client_log=calls.jsonl]");
  if (absl::ParseCommandLine(argc, argv).size() > 1) {
    std::cerr << "flotilla-check: takes flags only; see --help\n";
    return 2;
  }
  flotilla::checker::Options options;
  options.order_postgres = absl::GetFlag(FLAGS_order_postgres);
  options.inventory_postgres = absl::GetFlag(FLAGS_inventory_postgres);
  options.payment_postgres = absl::GetFlag(FLAGS_payment_postgres);
  options.notify_postgres = absl::GetFlag(FLAGS_notify_postgres);
  options.redis = absl::GetFlag(FLAGS_redis);
  options.gate_segments = absl::GetFlag(FLAGS_gate_segments);
  options.client_log = absl::GetFlag(FLAGS_client_log);
  options.quiescent = absl::GetFlag(FLAGS_quiescent);
  options.allow_parked = absl::GetFlag(FLAGS_allow_parked);
  options.redis_patience = absl::GetFlag(FLAGS_redis_patience);
  const auto report = flotilla::checker::Check(options);
  if (!report.ok()) {
    std::cerr << "flotilla-check: " << report.status().message() << "\n";
    return 2;
  }
  std::cout << report->ToString();
  return report->ok() ? 0 : 1;
}
