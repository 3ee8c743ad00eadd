// What a service with an event log has besides the table: the relay, the log's parts, replays for operators.
//
// Flags: --event_retention, --event_period, --stream_retention.
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "event_log/event_admin_api.h"
#include "events/log.h"
#include "events/partitions.h"
#include "events/replay.h"

namespace flotilla::event_log {

// As the tables' owner: brings the schema up to date and makes the flags the log's policy. INVALID_ARGUMENT naming the
// flag; otherwise as postgres::Migrate.
absl::Status Migrate(const postgres::Options& owner, std::span<const postgres::Migration> schema);

class EventLog {
 public:
  struct Options {
    std::string service;  // "order": stream FLOTILLA_ORDER, subject flotilla.order.event
    postgres::Options postgres;
    events::NatsOptions nats;
    absl::Duration idle_poll = absl::Milliseconds(20);  // only while Wake() is not called
  };
  // Adds EventAdminService to `server`, whose calls this object outlives.
  EventLog(rpc::Server& server, const Options& options);

  // After a commit with events; cheap, any thread.
  void Wake() { relay_.Wake(); }

 private:
  events::Relay relay_;
  events::PartKeeper parts_;
  EventAdminApi admin_;
};

}  // namespace flotilla::event_log
