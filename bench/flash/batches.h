// Orders through BatchCreateOrders, as gateways send them: each gateway is a thread with a connection of its own, and
// sends the next batch as soon as one is answered.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"

namespace flotilla::bench {

struct BatchOptions {
  std::string address;  // of order, with --auth=off
  std::string run;      // prefix of the idempotency keys
  int gateways = 10;
  int batch = 100;   // orders a call
  int users = 1000;  // user-0 ...
  int skus = 1;      // <prefix>0 ...
  std::string sku_prefix;
};

// Answers, by outcome: an order's state, an error's reason, or the code of a call that failed as a whole.
std::map<std::string, std::int64_t> SendBatches(const BatchOptions& options, absl::Duration duration);

}  // namespace flotilla::bench
