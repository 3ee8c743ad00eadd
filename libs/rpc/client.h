// Coroutine gRPC client over a changing set of endpoints: least-loaded-of-two pick, a breaker per endpoint, retries of
// idempotent calls on UNAVAILABLE within a budget, the caller's deadline and trace handed on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "grpcpp/grpcpp.h"
#include "rpc/loop.h"
#include "tracing/span.h"

namespace flotilla::rpc {

// The addresses of one service, as they change. Implemented by registry::Resolver and StaticEndpoints.
class EndpointSource {
 public:
  virtual ~EndpointSource() = default;
  // Calls `on_change` with all current addresses ("host:port"), once soon and after every change, from any thread but
  // one call at a time, until the source is destroyed. An empty list is never reported while older addresses are known.
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
  // Where every breaker is open: true waits until one lets through, false is UNAVAILABLE (NO_INSTANCE) at once. Who
  // must go on with what was promised waits, and so hears of the recovery as soon as a probe does.
  bool wait_for_ready = true;
  std::string traceparent = {};  // of the caller; may be empty
  std::vector<std::pair<std::string, std::string>> metadata = {};
};

// Stops calling an endpoint that answers UNAVAILABLE, or nothing for a second, five times in a row: for 200 ms,
// doubling to a second; then one call probes. No longer than that: what an outage has stopped is to go on within two
// seconds of its end.
class Breaker {
 public:
  // True where a call may go; takes the probe's place where the breaker is half open.
  bool Allow(async::SteadyTime now);
  void Report(bool available, async::SteadyTime now);

 private:
  std::mutex mutex_;
  int failures_ = 0;
  async::SteadyTime closed_until_ = {};  // no calls before
  absl::Duration pause_ = absl::ZeroDuration();
  async::SteadyTime probe_until_ = {};  // a probe is under way
};

// How a service is reached.
struct Security {
  std::shared_ptr<grpc::ChannelCredentials> credentials = {};  // null: without TLS
  std::string server_name = {};  // that the server's certificate must hold: addresses come and go
};

struct Endpoint {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::atomic<int> in_flight = 0;
  Breaker breaker;
  std::once_flag stub_once;
  std::shared_ptr<void> stub;  // of the one service that the pool is for
};

// The endpoints of one service. Thread-safe. Outlives its calls.
class ChannelPool {
 public:
  ChannelPool(std::string service, std::shared_ptr<EndpointSource> source, Security security = {});
  ~ChannelPool();

  const std::string& service() const { return service_; }
  // The less loaded of two random endpoints whose breaker lets through, preferably another than `avoid`; null where
  // none.
  std::shared_ptr<Endpoint> Pick(const Endpoint* avoid);
  bool empty() const;
  // One retry for ten successes, ten to begin with: an outage is not made worse by retries. Counted in
  // flotilla_rpc_retries_total{service,outcome="sent|over_budget"}.
  bool TakeRetryToken();
  void Succeeded();

 private:
  struct State;
  const std::string service_;
  std::shared_ptr<State> state_;  // shared with the subscription
  std::shared_ptr<EndpointSource> source_;
};

namespace internal {
void PrepareContext(grpc::ClientContext& context, absl::Time deadline, const CallOptions& options);
// Waits before the given retry; exponential with jitter.
absl::Duration RetryDelay(int attempt);
// With RetryInfo.
absl::Status NoEndpoint(const std::string& service);
}  // namespace internal

// Calls unary methods of one generated service.
//   rpc::Client<InventoryService> client(pool);
//   absl::StatusOr<ReserveResponse> r = co_await client.Call(&InventoryService::Stub::PrepareAsyncReserve, request,
//   options);
// Only on a Loop's thread; resumes there. UNAVAILABLE where no endpoint is known or none answers before the deadline.
template <class Service>
class Client {
 public:
  using Stub = typename Service::Stub;
  explicit Client(std::shared_ptr<ChannelPool> pool) : pool_(std::move(pool)) {}

  template <class Request, class Response>
  async::Task<absl::StatusOr<Response>> Call(
      std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*prepare)(grpc::ClientContext*, const Request&,
                                                                                  grpc::CompletionQueue*),
      Request request, CallOptions options);

 private:
  std::shared_ptr<ChannelPool> pool_;
};

}  // namespace flotilla::rpc

#include "rpc/client_inl.h"  // IWYU pragma: export
