// Configuration by absl flags. Each flag is also FLOTILLA_<NAME> in the environment and may stand in a file given by
// --flagfile=<path> (lines "--name=value", # comments). Precedence: command line, environment, file, default.
#pragma once

#include "absl/status/status.h"

namespace flotilla::config {

// Sets all flags. INVALID_ARGUMENT naming the file's line or the variable where a flag does not exist or has a
// malformed value. The command line itself is absl's: a wrong one ends the process with status 1 and names the flag;
// --help prints the flags and ends it too.
absl::Status Parse(int argc, char** argv);

}  // namespace flotilla::config
