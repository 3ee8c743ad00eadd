// What payment's flags come to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/action.h"

namespace flotilla::payment {

struct Config {
  std::vector<std::string> provider_secrets;
  SplitRule split;
  absl::Duration settle_after;
  bool settle_on_completion = true;  // else from the charge on, and nobody is asked
  absl::Duration reconcile_every;
  absl::Duration compare_orders_after;
  absl::Duration statement_margin;
};

// INVALID_ARGUMENT naming the flag.
absl::StatusOr<Config> ReadConfig();

}  // namespace flotilla::payment
