// Within this room: owning handles of nats.c, connecting, the one stream configuration.
#pragma once

#include <nats/nats.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "events/log.h"

namespace flotilla::events {

inline constexpr std::int64_t kNanosPerMilli = 1'000'000;

template <auto Destroy>
struct NatsDelete {
  template <class T>
  void operator()(T* handle) const {
    Destroy(handle);
  }
};
using NatsConnection = std::unique_ptr<natsConnection, NatsDelete<natsConnection_Destroy>>;
using NatsSubscription = std::unique_ptr<natsSubscription, NatsDelete<natsSubscription_Destroy>>;
using NatsMessage = std::unique_ptr<natsMsg, NatsDelete<natsMsg_Destroy>>;
using JetStream = std::unique_ptr<jsCtx, NatsDelete<jsCtx_Destroy>>;

absl::Status NatsError(std::string_view what, natsStatus status, int js_error = 0);

// Connects now or fails; once connected it reconnects for ever. Without `echo` it does not hear what it sends.
absl::StatusOr<NatsConnection> ConnectNats(const NatsOptions& options, const std::string& name, bool echo = true);
absl::StatusOr<JetStream> OpenJetStream(natsConnection* connection);

// Creates the stream if it is missing; one that exists is left as it is configured.
absl::Status EnsureStream(jsCtx* js, const std::string& stream, const std::string& subject, absl::Duration retention);
// Gives a stream of this configuration another retention; all else is left as it is.
absl::Status KeepRetention(jsCtx* js, const jsStreamConfig& current, absl::Duration retention);

}  // namespace flotilla::events
