#include "rpc/transport.h"

#include "grpcpp/resource_quota.h"

namespace flotilla::rpc {
namespace {

// A peer whose machine is gone says nothing: its connection and its streams are given up after these.
constexpr absl::Duration kKeepaliveTime = absl::Minutes(1);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(20);

// Clients of the fleet ping every 10 s (client.cpp); who pings more often gets ENHANCE_YOUR_CALM on the third one.
constexpr absl::Duration kMinPingInterval = absl::Seconds(5);
constexpr int kMaxPingStrikes = 2;

// What connections and calls hold, requests that are still coming in above all: they can be large, and nobody knows yet
// whose they are. Near it gRPC cancels calls and closes idle connections.
constexpr std::size_t kMaxBytes = 128 << 20;

int Millis(absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); }

}  // namespace

void LimitTransport(grpc::ServerBuilder& builder, const ServerOptions& options) {
  grpc::ResourceQuota quota("server");
  quota.Resize(kMaxBytes);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a taken port is an error, not a shared one
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(options.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Millis(kMinPingInterval));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMaxPingStrikes);
  if (options.connection_age != absl::InfiniteDuration()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(options.connection_age));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(options.connection_grace));
  }
}

}  // namespace flotilla::rpc
