// What the flags of this room come to: --user_limits, --method_limits, --target_latency.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "guard/admission.h"

namespace flotilla::guard {

// INVALID_ARGUMENT naming the flag.
absl::StatusOr<std::shared_ptr<Admission>> FromFlags();

}  // namespace flotilla::guard
