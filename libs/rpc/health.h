// grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) on the server's own loops. gRPC's
// own implementation brings threads that share in polling the server's connections: they wake for calls that are not
// theirs, and a connection that is theirs sleeps with them.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "async/hub.h"
#include "rpc/server.h"

namespace grpc::health::v1 {
class HealthCheckResponse;
}

namespace flotilla::rpc {

class Health {
 public:
  // Registers with the server, which knows the names to answer for.
  explicit Health(Server& server);
  // For "" and every service but kLiveness.
  void SetServing(bool serving);
  // Watches look at once whether they are to end.
  void Wake();

 private:
  struct Changed {};
  static void Merge(std::vector<Changed>& held, const Changed& next) { held.assign(1, next); }

  async::Task<absl::Status> Watch(Call& call, std::string service,
                                  ServerWriter<grpc::health::v1::HealthCheckResponse>& writer);
  // A grpc::health::v1::HealthCheckResponse::ServingStatus.
  int Of(const std::string& service) const;

  const Server& server_;
  std::atomic<bool> serving_ = false;
  async::Hub<Changed, Merge> watches_;
};

}  // namespace flotilla::rpc
