// Folds the order log into order state and compares it with the table. Parts of the log that were dropped for their
// age are not missed.
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
  std::int64_t older = 0;  // of the orders: begun before the log begins, so only what is left of it was compared
  std::int64_t differences = 0;
  std::vector<std::string> examples;  // the first of them, one line each
};

// In one snapshot, so the service may go on meanwhile; memory does not grow with the tables. Errors: UNAVAILABLE,
// INTERNAL.
absl::StatusOr<Report> Compare(const postgres::Options& options);

}  // namespace flotilla::rebuild
