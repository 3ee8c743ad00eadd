// Within this room: publishes messages to one JetStream stream, a batch at a time, and tells which stream it is.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "events/envelope.h"
#include "events/nats_client.h"

namespace flotilla::events {

// How far a stream is known. Names serve again after a loss, so its creation tells one from another.
struct StreamMark {
  std::int64_t created = 0;   // nanoseconds since the epoch; 0: no stream
  std::int64_t sequence = 0;  // of its last message
};

// For one thread. Errors are UNAVAILABLE unless said otherwise.
class StreamPublisher {
 public:
  struct Options {
    NatsOptions nats;
    std::string name;  // of the connection
    std::string stream;
    std::string subject;
    absl::Duration retention;
  };
  explicit StreamPublisher(Options options) : options_(std::move(options)) {}

  // Connects where it is not connected.
  absl::Status Connect();
  // The stream as it stands, its retention made ours. While connected.
  absl::StatusOr<StreamMark> Find();
  absl::StatusOr<StreamMark> Create();
  // For a stream that has lost its last messages: consumers stand where those were, and would pass over what gets their
  // numbers next. An empty one takes its place, configured as it was, and consumers begin anew. While connected.
  absl::Status Renew();
  // OK once all are acknowledged; `mark` moves on then. DATA_LOSS: a message was numbered at or below `mark`, so the
  // stream has lost what it had. While connected.
  absl::Status Publish(std::span<const Message> messages, StreamMark& mark);

 private:
  absl::Status Send(const Message& message, const std::string& reply);
  absl::Status CollectAcks(std::size_t count, StreamMark& mark);

  const Options options_;
  NatsConnection nats_;
  NatsSubscription acks_;
  std::string inbox_;
  std::uint64_t generation_ = 0;
};

}  // namespace flotilla::events
