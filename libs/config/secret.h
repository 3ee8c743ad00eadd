// Secrets by files, as container platforms give them.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace flotilla::config {

// The first line of the file that --<flag> names; "" where the path is empty. INVALID_ARGUMENT naming the flag where
// the file cannot be read or its first line is empty.
absl::StatusOr<std::string> ReadSecret(const char* flag, const std::string& path);

}  // namespace flotilla::config
