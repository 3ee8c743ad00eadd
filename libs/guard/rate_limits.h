// Rates by method, as an operator writes them.
#pragma once

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "guard/token_buckets.h"

namespace flotilla::guard {

class RateLimits {
 public:
  // "<method>=<calls a second>:<burst>,...", where the method is "package.Service/Method" or "*" for all that are not
  // named; "" limits nothing, and "=off" a named method not. INVALID_ARGUMENT with the part that is wrong.
  static absl::StatusOr<RateLimits> Parse(absl::string_view text);

  // None where the method is not limited.
  std::optional<Rate> Of(absl::string_view method) const;

 private:
  absl::flat_hash_map<std::string, std::optional<Rate>> by_method_;
};

}  // namespace flotilla::guard
