// The event log, which is the outbox: one append-only table per service, written in the transaction that changes the
// state.
//
//   CREATE TABLE event (see sql/): position bigint, xid xid8, stream_id text, sequence bigint, event_id text, type
//   text, data bytea, traceparent text, occurred_at timestamptz, appended_at timestamptz; in parts by appended_at, each
//   with a unique (stream_id, sequence)
//
// event_id is "<stream_id>/<sequence>": unique, and the same however often it is published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postgres/rights.h"
#include "postgres/session.h"

namespace flotilla::events {

struct Event {
  std::string stream_id;         // for example an order id
  std::int64_t sequence = 0;     // from 1, without gaps within the stream
  std::string type;              // for example "order.paid"
  std::string data;              // serialized protobuf
  std::string traceparent = {};  // may be empty
  absl::Time occurred_at;
  std::string id() const { return stream_id + "/" + std::to_string(sequence); }
};

// The table and the relay's cursor; the first migrations of every service that writes events.
std::span<const postgres::Migration> LogMigrations();
// What the service's role needs of them. The log's parts are made and dropped by two functions of the owner.
postgres::Rights LogRights();

// Appends in the given transaction, one statement for all, deferred: it travels with COMMIT. Two writers of one stream
// must be serialized by the stream's own row; a sequence that exists in the same part fails the transaction.
void Append(postgres::Transaction& transaction, std::span<const Event> events);

struct NatsOptions {
  std::string url = "nats://127.0.0.1:4222";
};

// Publishes the log to JetStream on a thread of its own. Any number of instances may run; one is active (session-level
// advisory lock), another takes over when it dies. One event goes as a message with Nats-Msg-Id = event id, several
// together as one (see envelope.h); the cursor moves after the acks. At least once, never lost: with NATS away rows
// wait in the table.
//
// With the cursor it keeps which stream took the events (see sql/relay_stream.sql). Where NATS has another one, none,
// or has fewer messages, it lost events that handlers may not have seen: those of the last `retention` are published
// again. Handlers know what they have seen.
//
// Commit order: the cursor is a snapshot (pg_snapshot), and what comes next is what a new snapshot sees and the old one
// did not, by position. So a row that was written early and committed late is not overtaken, a stream's events keep
// their order, and a long transaction elsewhere holds nothing up (waiting for pg_snapshot_xmin would).
class Relay {
 public:
  struct RelayOptions {
    postgres::Options postgres;
    NatsOptions nats;
    std::string stream;   // JetStream stream, for example "FLOTILLA_ORDER"; created where it is missing
    std::string subject;  // for example "flotilla.order.event"
    // Of the stream, made so where it is another: what handlers have not fetched by then is gone there.
    absl::Duration retention = absl::Hours(7 * 24);
    std::size_t max_batch = 512;
    absl::Duration idle_poll = absl::Milliseconds(20);  // only while Wake() is not called
  };
  explicit Relay(RelayOptions options);
  ~Relay();     // stops and joins
  void Wake();  // after a commit; cheap, any thread
  // Rows not yet published, as of the last look.
  std::int64_t lag() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A durable JetStream pull consumer on a thread of its own. `apply` gets a batch and stores effects and event ids in
// one transaction; OK acks the batch. Delivery is at least once and may repeat. UNAVAILABLE and other faults of the
// moment have the batch delivered again, for ever. Any other error has the batch halved until the event that causes it
// stands alone; that one is tried max_tries times, then it is given to `bury` (without `bury` it is tried for ever).
// Meanwhile later events go on. A message is acked when all its events are done.
class Consumer {
 public:
  struct ConsumerOptions {
    NatsOptions nats;
    std::string stream;
    std::string subject;
    std::string durable;  // consumer name, shared by all instances of one service
    int max_batch = 256;  // events given to `apply` at once
    int max_tries = 5;
  };
  using Apply = std::function<absl::Status(std::span<const Event>)>;
  using Bury = std::function<absl::Status(const Event& event, const absl::Status& reason)>;
  Consumer(ConsumerOptions options, Apply apply, Bury bury = {});
  ~Consumer();  // stops and joins

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::events
