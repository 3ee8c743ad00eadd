// Builds the service from its rooms.
#pragma once

#include "absl/status/status.h"
#include "runtime/runtime.h"

namespace flotilla::payment {

absl::Status Wire(runtime::Fleet& fleet);

}  // namespace flotilla::payment
