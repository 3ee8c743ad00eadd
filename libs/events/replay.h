// Publishes parts of the event log again: for handlers that are new, or whose stream lost something. Handlers apply
// each event once, so a repeat changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "events/log.h"

namespace flotilla::events {

struct ReplayRequest {
  std::string user;       // whose act it is
  std::string note;       // why
  std::string stream_id;  // empty: all streams
  absl::Time from;        // appended at or after
  absl::Time to;          // and before
  std::string after;      // where an earlier one ended: its `next`
  std::size_t limit = 0;  // events at most
};

struct Replay {
  std::int64_t replay_id = 0;
  std::int64_t published = 0;
  std::string next;  // empty: the range is through
};

// One act, as it stands in the table.
struct ReplayRecord {
  std::int64_t replay_id = 0;
  std::string user;
  std::string note;
  std::string stream_id;
  absl::Time from;
  absl::Time to;
  absl::Time started_at;
  absl::Time ended_at;  // InfiniteFuture: under way, or cut short
  std::int64_t published = 0;
};

// Blocking, for one thread. Connects for each call.
class Replayer {
 public:
  struct Options {
    postgres::Options postgres;
    NatsOptions nats;
    std::string stream;
    std::string subject;
  };
  explicit Replayer(Options options) : options_(std::move(options)) {}

  // Beside the relay, with message ids of its own, so that JetStream does not drop what it took a moment ago. Recorded
  // before the first event goes out. INVALID_ARGUMENT: `after` is none of ours. UNAVAILABLE: cut short, what was
  // published stands in the record.
  absl::StatusOr<Replay> Run(const ReplayRequest& request);
  // Newest first, those with a lower id than `before`, which 0 does not bound.
  absl::StatusOr<std::vector<ReplayRecord>> List(std::int64_t before, std::size_t limit);

 private:
  const Options options_;
};

}  // namespace flotilla::events
