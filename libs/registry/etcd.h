// One etcd v3 cluster, called blocking from one thread at a time. Every call but Watch has a deadline; Interrupt() from
// any thread ends whatever is running and everything that comes after it, until Resume().
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "etcd/rpc.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::registry {

class Etcd {
 public:
  explicit Etcd(const std::string& endpoints);  // host:port[,host:port...]

  absl::StatusOr<std::int64_t> Grant(absl::Duration ttl);  // the lease's id
  absl::Status Put(const std::string& key, const std::string& value, std::int64_t lease);
  // What is left of the lease's life; zero or less where it is gone.
  absl::StatusOr<absl::Duration> KeepAlive(std::int64_t lease);
  absl::Status Revoke(std::int64_t lease);  // asks each endpoint until one answers; a second for all of them
  absl::StatusOr<etcdserverpb::RangeResponse> List(const std::string& prefix);
  // Hands over every response until the stream ends or `handle` returns false.
  absl::Status Watch(const std::string& prefix, std::int64_t revision,
                     const std::function<bool(const etcdserverpb::WatchResponse&)>& handle);

  void Interrupt();
  void Resume();  // once the calling thread has ended

 private:
  // Runs one call on the current endpoint; after a failure the next call goes to the next endpoint.
  absl::Status Call(absl::Duration timeout,
                    const std::function<grpc::Status(grpc::ClientContext&, std::shared_ptr<grpc::Channel>)>& call);

  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::size_t next_ = 0;
  std::mutex mutex_;
  grpc::ClientContext* running_ = nullptr;
  bool interrupted_ = false;
};

}  // namespace flotilla::registry
