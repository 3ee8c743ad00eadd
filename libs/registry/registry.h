// Service registration and discovery in etcd v3 (https://etcd.io/docs/v3.4/).
//
// Key /flotilla/services/<service>/<instance id>, value JSON {"address": "host:port", "metadata": {...}}, bound to a
// lease.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "rpc/client.h"

namespace flotilla::registry {

struct Options {
  std::string etcd = "127.0.0.1:2379";  // comma-separated host:port list
  absl::Duration lease_ttl = absl::Seconds(10);
};

// Keeps one instance registered: lease, keepalive at a third of the TTL, registers again after any outage or lost
// lease. Own thread; never blocks the caller; etcd may be away at the start.
class Registration {
 public:
  Registration(Options options, const std::string& service, const std::string& instance_id, const std::string& address,
               const std::map<std::string, std::string>& metadata = {});
  ~Registration();          // Deregister()
  void Deregister();        // revokes the lease; at most a second
  bool registered() const;  // as of now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Follows the instances of one service: list, watch from the next revision, list again on compaction or a broken
// stream. While etcd is away, or its answer is empty, the last known endpoints stay. Own thread.
class Resolver final : public rpc::EndpointSource {
 public:
  Resolver(const Options& options, const std::string& service);
  ~Resolver() override;
  void Subscribe(std::function<void(std::vector<std::string>)> on_change) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::registry
