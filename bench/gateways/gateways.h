// Orders through BatchCreateOrders, as gateways send them: each gateway is a thread with a connection of its own that
// sends the next batch as soon as one is answered, or at its share of a rate.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::bench {

struct BatchOptions {
  std::string address;  // of order, with --auth=off
  std::string run;      // prefix of the idempotency keys
  int gateways = 10;
  int batch = 100;   // orders a call
  int users = 1000;  // user-0 ...
  int skus = 1;      // <prefix>0 ...
  std::string sku_prefix = "sku-";
  double rate = 0;  // orders a second of all; 0: as many as are answered
};

struct BatchAnswers {
  // Orders by outcome: a state, an error's reason, or the code of a call that failed as a whole.
  std::map<std::string, std::int64_t> by_outcome;
  std::vector<absl::Duration> latencies;  // of the calls, ascending; at a rate from when one was due
};
BatchAnswers SendBatches(const BatchOptions& options, absl::Duration duration);

}  // namespace flotilla::bench
