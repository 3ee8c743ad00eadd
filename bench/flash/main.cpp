// A crowd of buyers from a generator that costs a fraction of ghz: call by call, the next as soon as one is answered,
// or gathered by gateways into batches. A flash sale of flash-0 where --skus is 1. Used by bench/run. Exit 0; 2: could
// not begin.
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "fleet/flood.h"
#include "gateways/gateways.h"
#include "process/process.h"

ABSL_FLAG(std::string, order, "", "host:port of order, with --auth=off");
ABSL_FLAG(std::string, run, "flash sale", "prefix of the idempotency keys");
ABSL_FLAG(int, users, 1000, "user-0 ...");
ABSL_FLAG(int, skus, 1, "<sku_prefix>0 ...");
ABSL_FLAG(std::string, sku_prefix, "flash-", "of the SKUs' names");
ABSL_FLAG(int, at_once, 1000, "orders in flight");
ABSL_FLAG(int, batch, 1, "orders a call: one by CreateOrder, more by BatchCreateOrders");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(10), "how long");

namespace flotilla {
namespace {

std::map<std::string, std::int64_t> OneByOne() {
  fleet::Flood flood({.address = absl::GetFlag(FLAGS_order),
                      .run = absl::GetFlag(FLAGS_run),
                      .users = absl::GetFlag(FLAGS_users),
                      .skus = absl::GetFlag(FLAGS_skus),
                      .sku_prefix = absl::GetFlag(FLAGS_sku_prefix),
                      .timeout = absl::Seconds(5)});
  return flood.Closed(absl::GetFlag(FLAGS_at_once), absl::GetFlag(FLAGS_duration)).by_outcome;
}

std::map<std::string, std::int64_t> InBatches() {
  const int batch = absl::GetFlag(FLAGS_batch);
  return bench::SendBatches({.address = absl::GetFlag(FLAGS_order),
                             .run = absl::GetFlag(FLAGS_run),
                             .gateways = std::max(1, absl::GetFlag(FLAGS_at_once) / batch),
                             .batch = batch,
                             .users = absl::GetFlag(FLAGS_users),
                             .skus = absl::GetFlag(FLAGS_skus),
                             .sku_prefix = absl::GetFlag(FLAGS_sku_prefix)},
                            absl::GetFlag(FLAGS_duration))
      .by_outcome;
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("a crowd of buyers; flotilla-bench-flash --order=127.0.0.1:7001");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_order).empty() || absl::GetFlag(FLAGS_batch) < 1 || absl::GetFlag(FLAGS_batch) > 1000 ||
      absl::GetFlag(FLAGS_users) < 1 || absl::GetFlag(FLAGS_skus) < 1) {
    std::cerr
        << "flotilla-bench-flash: --order must be set, --batch 1 to 1000, --users and --skus positive; see --help\n";
    return 2;
  }
  const double before = flotilla::bench::OwnSeconds();
  const absl::Time start = absl::Now();
  const auto outcomes = absl::GetFlag(FLAGS_batch) == 1 ? flotilla::OneByOne() : flotilla::InBatches();
  std::int64_t answered = 0;
  for (const auto& [outcome, count] : outcomes) answered += count;
  absl::PrintF("orders %d, %.0f/s, %.1f us of the generator's CPU each\n", answered,
               static_cast<double>(answered) / absl::ToDoubleSeconds(absl::Now() - start),  // until the last answer
               (flotilla::bench::OwnSeconds() - before) * 1e6 / static_cast<double>(answered));
  for (const auto& [outcome, count] : outcomes) absl::PrintF("    %s: %d\n", outcome, count);
  return 0;
}
