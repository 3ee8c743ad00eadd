// What a connection may do before anybody knows whose it is.
#pragma once

#include "grpcpp/server_builder.h"
#include "rpc/server.h"

namespace flotilla::rpc {

// Sizes of messages and metadata, streams, pings, handshakes, the connection's age.
void LimitTransport(grpc::ServerBuilder& builder, const ServerOptions& options);

}  // namespace flotilla::rpc
