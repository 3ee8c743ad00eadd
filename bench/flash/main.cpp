// A flash sale on one SKU from a generator of one thread, which costs half of ghz: buyers of flash-0, the next as
// soon as one is answered. Used by bench/run. Exit 0; 2: could not begin.
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "fleet/flood.h"
#include "process/process.h"

ABSL_FLAG(std::string, order, "", "host:port of order, with --auth=off");
ABSL_FLAG(int, users, 1000, "user-0 ...");
ABSL_FLAG(int, at_once, 1000, "calls in flight");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(10), "how long");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("a flash sale of flash-0; flotilla-bench-flash --order=127.0.0.1:7001");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_order).empty()) {
    std::cerr << "flotilla-bench-flash: --order must be set; see --help\n";
    return 2;
  }
  flotilla::fleet::Flood flood({.address = absl::GetFlag(FLAGS_order),
                                .run = "flash sale",
                                .users = absl::GetFlag(FLAGS_users),
                                .skus = 1,
                                .sku_prefix = "flash-",
                                .timeout = absl::Seconds(5)});
  const double before = flotilla::bench::OwnSeconds();
  const auto answers = flood.Closed(absl::GetFlag(FLAGS_at_once), absl::GetFlag(FLAGS_duration));
  // All were answered; what came after the last second is a thousandth.
  absl::PrintF("calls %d, %.0f/s, %.1f us of the generator's CPU each\n", answers.answered,
               static_cast<double>(answers.answered) / absl::ToDoubleSeconds(absl::GetFlag(FLAGS_duration)),
               (flotilla::bench::OwnSeconds() - before) * 1e6 / static_cast<double>(answers.answered));
  for (const auto& [outcome, count] : answers.by_outcome) absl::PrintF("    %s: %d\n", outcome, count);
  return 0;
}
