// Judges the fleet's promises I1 to I8 from what it wrote: its four databases, its Redis and a log of what clients saw.
//
// Works on a running fleet. Each database is read in one snapshot of its own, so what spans databases is judged only as
// far as it holds between snapshots taken one after the other; at rest (quiescent) it is judged in full.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "checker/report.h"

namespace flotilla::checker {

struct Options {
  // libpq connection strings; what needs an empty one is skipped.
  std::string order_postgres;
  std::string inventory_postgres;
  std::string payment_postgres;
  std::string notify_postgres;
  std::string redis;       // host:port; may be empty
  int gate_segments = 1;   // as of the inventory service
  std::string client_log;  // see client_log.h; may be empty
  // The fleet is at rest: no call under way, all sagas ended, all events delivered.
  bool quiescent = false;
  bool allow_parked = false;
  // The Redis gate may differ from SQL for a moment and heals itself; only a lasting difference counts.
  absl::Duration redis_patience = absl::Seconds(10);
};

// UNAVAILABLE: a server cannot be reached. INVALID_ARGUMENT, NOT_FOUND: of the client log. INTERNAL: anything else that
// kept it from judging.
absl::StatusOr<Report> Check(const Options& options);

}  // namespace flotilla::checker
