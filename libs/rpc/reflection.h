// Server reflection, v1alpha, which grpcurl and its like speak
// (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md), on the server's own loops; for the reason see
// health.h.
#pragma once

#include "rpc/server.h"

namespace flotilla::rpc {

// Registers with the server: it answers with the server's services and every message type linked into the process.
void AddReflection(Server& server);

}  // namespace flotilla::rpc
