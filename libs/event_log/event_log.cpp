#include "event_log/event_log.h"

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

ABSL_FLAG(absl::Duration, event_retention, absl::Hours(14 * 24),
          "How long the event log's parts are kept; at least as long as --stream_retention.");
ABSL_FLAG(absl::Duration, event_period, absl::Hours(24), "Time covered by one part of the event log.");
ABSL_FLAG(absl::Duration, stream_retention, absl::Hours(7 * 24),
          "How long JetStream keeps events: what handlers have not fetched by then is gone there.");

namespace flotilla::event_log {
namespace {

constexpr absl::Duration kDatabasePatience = absl::Seconds(60);

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_stream_retention) < absl::Minutes(2)) {  // within which JetStream knows repeats
    return absl::InvalidArgumentError("--stream_retention: must be 2 min or more");
  }
  if (absl::GetFlag(FLAGS_event_period) < absl::Minutes(1)) {
    return absl::InvalidArgumentError("--event_period: must be 1 min or more");
  }
  if (absl::GetFlag(FLAGS_event_retention) <
      std::max(absl::GetFlag(FLAGS_stream_retention), absl::GetFlag(FLAGS_event_period))) {
    return absl::InvalidArgumentError("--event_retention: must not be below --stream_retention and --event_period");
  }
  return absl::OkStatus();
}

events::Relay::RelayOptions RelayOptions(const EventLog::Options& options) {
  return {.postgres = options.postgres,
          .nats = options.nats,
          .stream = absl::StrCat("FLOTILLA_", absl::AsciiStrToUpper(options.service)),
          .subject = absl::StrCat("flotilla.", options.service, ".event"),
          .retention = absl::GetFlag(FLAGS_stream_retention),
          .idle_poll = options.idle_poll};
}

events::Replayer::Options ReplayerOptions(const events::Relay::RelayOptions& relay) {
  return {.postgres = relay.postgres, .nats = relay.nats, .stream = relay.stream, .subject = relay.subject};
}

}  // namespace

absl::Status Migrate(const postgres::Options& owner, std::span<const postgres::Migration> schema) {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  if (absl::Status status = postgres::Migrate(owner, schema, kDatabasePatience); !status.ok()) return status;
  return events::SetLogPolicy(
      owner, {.period = absl::GetFlag(FLAGS_event_period), .retention = absl::GetFlag(FLAGS_event_retention)});
}

EventLog::EventLog(rpc::Server& server, const Options& options)
    : relay_(RelayOptions(options)), parts_(options.postgres), admin_(server, ReplayerOptions(RelayOptions(options))) {}

}  // namespace flotilla::event_log
