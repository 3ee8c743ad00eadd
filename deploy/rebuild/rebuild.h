// Folds the order log into order state and compares it with the table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "postgres/session.h"

namespace flotilla::rebuild {

struct Report {
  std::int64_t events = 0;
  std::int64_t orders = 0;
  std::int64_t differences = 0;
  std::vector<std::string> examples;  // the first of them, one line each
};

// In one snapshot, so the service may go on meanwhile; memory does not grow with the tables. Errors: UNAVAILABLE,
// INTERNAL.
absl::StatusOr<Report> Compare(const postgres::Options& options);

}  // namespace flotilla::rebuild
