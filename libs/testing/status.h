// What a program can read of an error.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace flotilla {

// The first field that the error's BadRequest names, or "".
std::string Field(const absl::Status& status);
std::string Field(const google::rpc::Status& status);

}  // namespace flotilla
