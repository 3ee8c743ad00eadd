// Ten times the sustainable load: finds the rate that a fleet sustains, offers it ten times as much, then less again.
// Used by bench/overload/run. Exit 0: it held; 1: it did not; 2: could not begin.
#include <algorithm>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "fleet/flood.h"

ABSL_FLAG(std::string, order, "", "host:port of order, with --auth=off");
ABSL_FLAG(std::string, run, "overload", "prefix of the idempotency keys; another one for every run");
ABSL_FLAG(int, users, 1000, "user-0 ...");
ABSL_FLAG(int, skus, 1000, "sku-0 ...");
ABSL_FLAG(int, at_once, 1000, "calls in flight while the sustainable rate is looked for");
ABSL_FLAG(double, times, 10, "the overload");
ABSL_FLAG(absl::Duration, duration, absl::Minutes(1), "of the overload");

namespace {

using flotilla::fleet::Answers;
using flotilla::fleet::Flood;
using flotilla::fleet::Second;

constexpr double kNormal = 0.7;  // of the peak: the load before and after
constexpr double kKept = 0.8;    // of the peak, under overload
constexpr int kBackWithin = 5;   // seconds

void Print(const char* phase, const Answers& answers) {
  Second all;
  for (const Second& each : answers.seconds) {
    all.milliseconds.insert(all.milliseconds.end(), each.milliseconds.begin(), each.milliseconds.end());
  }
  std::sort(all.milliseconds.begin(), all.milliseconds.end());
  absl::PrintF("%-10s offered %7.0f/s  accepted %6.0f/s  p50 %6.1f ms  p99 %7.1f ms\n", phase,
               static_cast<double>(answers.sent) / static_cast<double>(answers.seconds.size()), answers.Rate(),
               all.Percentile(0.5), all.Percentile(0.99));
  for (const auto& [outcome, count] : answers.by_outcome) absl::PrintF("             %s: %d\n", outcome, count);
  std::cout.flush();
}

// Seconds until nothing was refused any more and calls were as fast as a second at most; -1: never.
int BackAfter(const Answers& answers) {
  int back = 0;
  for (std::size_t i = 0; i < answers.seconds.size(); ++i) {
    const Second& second = answers.seconds[i];
    if (second.others > 0 || second.Percentile(0.99) > 1000) back = static_cast<int>(i) + 1;
  }
  return back < static_cast<int>(answers.seconds.size()) ? back : -1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("ten times the sustainable load; flotilla-bench-overload --order=127.0.0.1:7001");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_order).empty()) {
    std::cerr << "flotilla-bench-overload: --order must be set; see --help\n";
    return 2;
  }
  Flood flood({.address = absl::GetFlag(FLAGS_order),
               .run = absl::GetFlag(FLAGS_run),
               .users = absl::GetFlag(FLAGS_users),
               .skus = absl::GetFlag(FLAGS_skus),
               .timeout = absl::Seconds(5)});
  flood.Closed(absl::GetFlag(FLAGS_at_once), absl::Seconds(5));  // warm
  const Answers peak = flood.Closed(absl::GetFlag(FLAGS_at_once), absl::Seconds(15));
  Print("peak", peak);
  const double rate = peak.Rate();
  Print("normal", flood.Open(kNormal * rate, absl::Seconds(10)));
  const Answers overload = flood.Open(absl::GetFlag(FLAGS_times) * rate, absl::GetFlag(FLAGS_duration));
  Print("overload", overload);
  const Answers after = flood.Open(kNormal * rate, absl::Seconds(15));
  Print("after", after);
  const int back = BackAfter(after);
  absl::PrintF(
      "accepted under overload: %.0f %% of the peak (at least %.0f); back to normal after %d s (at most %d); "
      "refusals without RetryInfo: %d\n",
      100 * overload.Rate() / rate, 100 * kKept, back, kBackWithin, overload.shed_without_delay);
  return overload.Rate() >= kKept * rate && back >= 0 && back <= kBackWithin && overload.shed_without_delay == 0 ? 0
                                                                                                                 : 1;
}
