// The parts of the event log: made ahead of time, dropped when they are old. See sql/event_parts.sql.
#pragma once

#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "postgres/session.h"

namespace flotilla::events {

struct LogPolicy {
  absl::Duration period = absl::Hours(24);          // of one part
  absl::Duration retention = absl::Hours(14 * 24);  // of a part after its end
};

// As the tables' owner; the parts that exist stay as they are. INVALID_ARGUMENT: a period below a minute, a retention
// below a period.
absl::Status SetLogPolicy(const postgres::Options& owner, const LogPolicy& policy);

// On a thread of its own, in any number of instances. The role needs no right but to call the two functions.
class PartKeeper {
 public:
  PartKeeper(postgres::Options postgres, absl::Duration every = absl::Minutes(1));
  ~PartKeeper();  // stops and joins

 private:
  void Run();

  postgres::Session session_;
  const absl::Duration every_;
  async::StopSignal stop_;
  std::thread thread_;
};

}  // namespace flotilla::events
