// Coroutine gRPC client over a changing set of endpoints: least-loaded-of-two pick, a breaker per endpoint, retries of
// idempotent calls on UNAVAILABLE within a budget, the caller's deadline and trace handed on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "grpcpp/grpcpp.h"
#include "rpc/loop.h"

namespace flotilla::rpc {

// The addresses of one service, as they change. Implemented by registry::Resolver and StaticEndpoints.
class EndpointSource {
 public:
  virtual ~EndpointSource() = default;
  // Calls `on_change` with all current addresses ("host:port"), once soon and after every change, from any thread, until
  // the source is destroyed. An empty list is never reported while older addresses are known.
  virtual void Subscribe(std::function<void(std::vector<std::string>)> on_change) = 0;
};
class StaticEndpoints final : public EndpointSource {
 public:
  explicit StaticEndpoints(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}
  void Subscribe(std::function<void(std::vector<std::string>)> on_change) override { on_change(addresses_); }

 private:
  std::vector<std::string> addresses_;
};

struct CallOptions {
  absl::Duration timeout = absl::Seconds(2);
  absl::Time deadline = absl::InfiniteFuture();  // the earlier of the two counts
  bool idempotent = true;                        // may be sent again on UNAVAILABLE
  std::string traceparent;                       // of the caller; may be empty
  std::vector<std::pair<std::string, std::string>> metadata;
};

// The endpoints of one service. Thread-safe. Outlives its calls.
class ChannelPool {
 public:
  explicit ChannelPool(std::shared_ptr<EndpointSource> source);
  ~ChannelPool();

  struct Endpoint;  // address, channel, in-flight count, breaker
  // Least loaded of two random ones whose breaker lets through; null where there is none.
  std::shared_ptr<Endpoint> Pick(const Endpoint* avoid);
  static const std::shared_ptr<grpc::Channel>& ChannelOf(const Endpoint& endpoint);
  void Begin(Endpoint& endpoint);
  void End(Endpoint& endpoint, const grpc::Status& status);
  bool TakeRetryToken();
  std::size_t size() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Calls methods of one generated service.
//   rpc::Client<InventoryService> client(pool);
//   absl::StatusOr<ReserveResponse> r = co_await client.Call(&InventoryService::Stub::PrepareAsyncReserve, request, options);
// Only on a Loop's thread; resumes there. UNAVAILABLE where no endpoint is known or none answers before the deadline.
template <class Service>
class Client {
 public:
  explicit Client(std::shared_ptr<ChannelPool> pool) : pool_(std::move(pool)) {}

  template <class Request, class Response>
  async::Task<absl::StatusOr<Response>> Call(
      std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Service::Stub::*prepare)(grpc::ClientContext*,
                                                                                          const Request&,
                                                                                          grpc::CompletionQueue*),
      Request request, CallOptions options);

 private:
  std::shared_ptr<ChannelPool> pool_;
};

}  // namespace flotilla::rpc

#include "rpc/client_inl.h"  // the templates
