// Puts the service together.
#pragma once

#include "absl/status/status.h"
#include "runtime/runtime.h"

namespace flotilla::inventory {

absl::Status Wire(runtime::Fleet& fleet);

}  // namespace flotilla::inventory
