// Within this room: the durable consumer at the server.
#pragma once

#include <nats/nats.h>

#include <string>

#include "absl/status/status.h"

namespace flotilla::events {

struct Durable {
  const std::string& stream;
  const std::string& subject;
  const std::string& name;
  int max_ack_pending;  // messages in the hands of all instances together
};

// False where nothing has come from the consumer for a second. nats-server 2.9.10 makes such now and then where the
// consumer is created while its stream still is (it takes the stream's queue of what is to be sent before there is
// one): it hands out messages for ever, and sends none.
bool Answers(natsConnection* connection, const std::string& stream, const std::string& durable);

// Creates the consumer if it is missing; one that exists keeps its place. UNAVAILABLE where the stream is missing, and
// where the consumer was found deaf and deleted: try again.
absl::Status EnsureDurable(natsConnection* connection, jsCtx* js, const Durable& durable,
                           decltype(Answers)* answers = Answers);

}  // namespace flotilla::events
