// flotilla-soak: random load and random faults for a given time, then heal, drain and check I1 to I8.
//   FLOTILLA_TEST_BIN=build/release/bin build/release/bin/flotilla-soak --duration=1h --seed=7
// Exit 0: no promise was broken and every saga ended in time.
#include <iostream>
#include <random>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "soak/buyers.h"
#include "soak/faults.h"
#include "testing/eventually.h"

ABSL_FLAG(std::uint64_t, seed, 0, "of all random choices; 0 picks one");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(60), "how long faults strike");
ABSL_FLAG(int, instances, 2, "of each service");
ABSL_FLAG(int, buyers, 24, "at once");
ABSL_FLAG(absl::Duration, patience, absl::Seconds(30), "in which every saga must end after the last heal");

namespace flotilla::soak {
namespace {

int Run(std::uint64_t seed) {
  World world(absl::GetFlag(FLAGS_instances));
  fleet::Fleet& fleet = world.fleet;
  Faults faults(world, seed);
  Buyers buyers(world, absl::GetFlag(FLAGS_buyers), seed);
  for (const absl::Time end = absl::Now() + absl::GetFlag(FLAGS_duration); absl::Now() < end;) faults.Strike();
  faults.Heal();
  const absl::Time healed = absl::Now();
  for (const std::string& service : world.services) fleet.WaitServing(service, 60);
  buyers.Stop();
  const auto rows = [&](const std::string& from) { return fleet.Query("order", "SELECT count(*) FROM " + from); };
  bool ended = Eventually([&] { return rows("saga") == 0; }, absl::GetFlag(FLAGS_patience));
  // An order that awaits its payment has no saga now, but will have one, at the latest when its time and the grace for
  // a word that was lost are over.
  const std::string awaiting = absl::StrCat("orders WHERE state = ", order::v1::ORDER_STATE_AWAITING_PAYMENT);
  ended = Eventually([&] { return rows("saga") == 0 && rows(awaiting) == 0; }, absl::Seconds(90)) && ended;
  const absl::Duration took = absl::Now() - healed;

  std::cout << "faults survived:\n";
  for (const auto& [kind, count] : faults.survived()) std::cout << "  " << count << " " << kind << "\n";
  const Buyers::Counts counts = buyers.counts();
  std::cout << "orders: " << fleet.Query("order", "SELECT count(*) FROM orders") << " in the database; answered "
            << counts.paid << " paid, " << counts.cancelled << " cancelled or on their way, " << counts.external
            << " for the provider to pay, " << counts.refused << " refused; " << counts.refunded << " refunds; "
            << counts.unknown << " unknown outcomes, asked again\n"
            << "sagas taken over: " << fleet.Query("order", "SELECT count(*) FROM saga_history WHERE kind = 2") << "\n"
            << (ended ? "last saga's end: " : "SAGAS HAVE NOT ENDED: ") << absl::FormatDuration(took)
            << " after the last heal\n";
  const std::string violations = fleet.Check();
  std::cout << (violations.empty() ? "no promise is broken\n" : violations);
  if (ended && violations.empty()) return 0;
  std::cout << "failed with --seed=" << seed << "; logs: " << fleet.KeepLogs() << "\n";
  return 1;
}

}  // namespace
}  // namespace flotilla::soak

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("random load with random faults, then the checker");
  absl::ParseCommandLine(argc, argv);
  std::uint64_t seed = absl::GetFlag(FLAGS_seed);
  if (seed == 0) seed = std::random_device{}();
  std::cout << "seed " << seed << std::endl;
  try {
    return flotilla::soak::Run(seed);
  } catch (const std::exception& error) {
    std::cerr << "soak: seed " << seed << ": " << error.what() << "\n";
    return 2;
  }
}
