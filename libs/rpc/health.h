// grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) on the server's own loops. gRPC's
// own implementation brings threads that share in polling the server's connections: they wake for calls that are not
// theirs, and a connection that is theirs sleeps with them.
#pragma once

#include <atomic>
#include <string>

#include "rpc/server.h"

namespace flotilla::rpc {

class Health {
 public:
  // Registers with the server, which knows the names to answer for.
  explicit Health(Server& server);
  // For "" and every service but kLiveness.
  void SetServing(bool serving) { serving_.store(serving); }

 private:
  // A grpc::health::v1::HealthCheckResponse::ServingStatus.
  int Of(const std::string& service) const;

  const Server& server_;
  std::atomic<bool> serving_ = false;
};

}  // namespace flotilla::rpc
