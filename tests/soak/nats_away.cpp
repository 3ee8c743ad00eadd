// flotilla-nats-away: NATS is away under load for a long time, its data are wiped, and it comes back; meanwhile and
// afterwards relays and handlers are killed. Then NATS loses everything once more, when all has been handled: every
// event comes again, long after JetStream has forgotten its id. Checks that every event was handled and each effect
// happened once. Needs the servers that tests/run starts:
//   FLOTILLA_TEST_BIN=build/release/bin build/release/bin/flotilla-nats-away --away=10m
// Exit 0: no promise was broken.
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "testing/eventually.h"

ABSL_FLAG(absl::Duration, away, absl::Minutes(10), "how long NATS is away");
ABSL_FLAG(absl::Duration, kill_every, absl::Seconds(20), "a relay and a handler are killed meanwhile");
ABSL_FLAG(int, buyers, 6, "at once");
ABSL_FLAG(absl::Duration, patience, absl::Minutes(10), "in which all must be handled afterwards");

namespace flotilla {
namespace {

struct Progress {
  std::int64_t events = 0;
  std::int64_t handled = 0;
  bool operator==(const Progress&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Progress& progress) {
  return out << progress.handled << " of " << progress.events << " order events handled";
}

Progress Look(const fleet::Fleet& fleet) {
  return {.events = fleet.Query("order", "SELECT count(*) FROM event"),
          .handled = fleet.Query("notify", "SELECT count(*) FROM handled_event WHERE event_id NOT LIKE '%:%'")};
}

// The active relay is killed with whichever order instance has it.
void KillSome(fleet::Fleet& fleet, int round) {
  for (const char* service : {"order", "notify"}) fleet.KillAndRestart(absl::StrCat(service, "-", 1 + round % 2));
}

int Run() {
  fleet::Fleet fleet({.own_postgres = true});
  fleet.StartAll(2);
  const int buyers = absl::GetFlag(FLAGS_buyers);
  fleet::Load::Prepare(fleet, buyers);
  fleet::Load load(fleet, {"order-1", "order-2"}, buyers);
  if (!load.Progresses(100)) throw std::runtime_error("no orders");

  fleet.StopServer("nats");
  const Progress before = Look(fleet);
  const absl::Time back = absl::Now() + absl::GetFlag(FLAGS_away);
  for (int round = 0; absl::Now() < back; ++round) {
    absl::SleepFor(std::min(absl::GetFlag(FLAGS_kill_every), back - absl::Now()));
    KillSome(fleet, round);
  }
  fleet.WipeServer("nats");
  fleet.StartServer("nats");
  std::cout << "away for " << absl::FormatDuration(absl::GetFlag(FLAGS_away)) << "; before: " << before
            << "; at its return: " << Look(fleet) << std::endl;

  const absl::Time returned = absl::Now();
  for (int round = 0; round < 4; ++round) {
    absl::SleepFor(absl::Seconds(5));
    KillSome(fleet, round);
  }
  load.Stop();
  for (const char* service : {"order-1", "order-2", "notify-1", "notify-2"}) fleet.WaitServing(service, 60);
  const bool handled = Eventually(
      [&] {
        const Progress progress = Look(fleet);
        return progress.handled == progress.events;
      },
      absl::GetFlag(FLAGS_patience));
  std::cout << (handled ? "all handled " : "NOT ALL HANDLED ") << absl::FormatDuration(absl::Now() - returned)
            << " after its return: " << Look(fleet) << std::endl;
  std::string violations = fleet.Check();
  std::cout << (violations.empty() ? "no promise is broken" : violations) << std::endl;

  // Duplicates of everything.
  const Progress rested = Look(fleet);
  fleet.StopServer("nats");
  fleet.WipeServer("nats");
  fleet.StartServer("nats");
  const bool repeated =
      Eventually([&] { return fleet.Query("order", "SELECT published FROM relay_cursor") >= 2 * rested.events; },
                 absl::GetFlag(FLAGS_patience));
  const std::string again = fleet.Check();
  std::cout << (repeated ? "all published again: " : "NOT ALL PUBLISHED AGAIN: ") << Look(fleet) << "\n"
            << (again.empty() ? "no promise is broken" : again) << std::endl;
  if (handled && repeated && violations.empty() && again.empty() && Look(fleet) == rested) return 0;
  std::cout << "failed; logs: " << fleet.KeepLogs() << "\n";
  return 1;
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("NATS away under load, wiped, back, and wiped again");
  absl::ParseCommandLine(argc, argv);
  try {
    return flotilla::Run();
  } catch (const std::exception& error) {
    std::cerr << "nats_away: " << error.what() << "\n";
    return 2;
  }
}
