// How orders ended, as the event log tells it. Blocking and single-threaded, like OrderStore.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/session.h"

namespace flotilla::order {

// A place in the log, by the order of commits.
struct LogPlace {
  std::uint64_t xid = 0;
  std::int64_t position = 0;
};

struct OutcomeQuery {
  LogPlace after = {};
  absl::Duration min_age = absl::ZeroDuration();  // stops before what is younger
  int limit = 50;                                 // events looked at, other ones too
};

struct OutcomePage {
  std::vector<std::string> events;  // data of the events that tell of an end
  LogPlace next;                    // behind all that were looked at
};

class OutcomeStore {
 public:
  explicit OutcomeStore(postgres::Options options) : session_(std::move(options)) {}

  absl::StatusOr<OutcomePage> List(const OutcomeQuery& query);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::order
