// Coroutine gRPC server: handlers are coroutines that return absl::StatusOr<Response> (unary) or absl::Status
// (streams).
//
//   rpc::Server server({.listen = "127.0.0.1:0"});
//   auto service = std::make_shared<InventoryService::AsyncService>();
//   server.AddService(service);
//   server.Unary(service.get(), &InventoryService::AsyncService::RequestReserve,
//   "flotilla.inventory.v1.InventoryService/Reserve",
//       [&](rpc::Call& call, const ReserveRequest& request) -> async::Task<absl::StatusOr<ReserveResponse>> {...});
//   server.Start();
//
// The server answers grpc.health.v1 and reflection itself. Every accepted call is finished exactly once, cancelled ones
// too. A handler runs on its call's loop and must not block. What it captures must outlive the server.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "grpcpp/grpcpp.h"
#include "rpc/loop.h"
#include "tracing/span.h"

namespace flotilla::rpc {

// One call in progress, handed to its handler. Lives until the handler's coroutine has ended.
struct Call {
  std::string_view method;  // "package.Service/Method"
  grpc::ServerContext* context = nullptr;
  absl::Time start;
  async::SteadyTime begun = {};  // the same, to measure by
  absl::Time deadline;           // for a unary call whose client set none: start + default_deadline
  std::string user_id;           // set by an interceptor, else empty
  // Set by an interceptor where the caller, an operator or a service, may name any user in a request.
  bool for_any_user = false;
  bool from_service = false;                    // set by an interceptor where a service of the fleet calls
  absl::Time expires = absl::InfiniteFuture();  // when the caller's credentials do: a stream ends then
  std::string traceparent;  // W3C Trace Context as the client sent it; an interceptor makes it this call's own span
  std::unique_ptr<tracing::Span> span;  // of a sampled call, set by an interceptor
  bool stream = false;
  void* admission = nullptr;  // what the interceptor that counts running calls keeps between OnStart and OnEnd
  // True once the client has gone, its credentials have expired or the server is ending. A unary call runs to its end
  // and never sees it.
  bool cancelled() const {
    return cancelled_.load(std::memory_order_acquire) || expired() ||
           (ending_ != nullptr && ending_->load(std::memory_order_acquire));
  }
  bool expired() const { return stream && expires != absl::InfiniteFuture() && absl::Now() >= expires; }
  // What becomes of a stream that its handler ends so: its credentials may have ended it.
  absl::Status Ended(absl::Status status) const;
  std::atomic<bool> cancelled_ = false;        // set by the server
  const std::atomic<bool>* ending_ = nullptr;  // of a stream: the server's flag

  // For the handler to work for; null where the call is not sampled.
  const tracing::Scope* scope() const { return span == nullptr ? nullptr : span->scope(); }

  // A metadata value of the client, "" where it is absent.
  std::string_view Metadata(const char* key) const;
};

// Sees every call. OnStart may refuse it (identity, limits); OnEnd runs after the reply was handed to gRPC, refused or
// not.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  virtual absl::Status OnStart(Call& call) = 0;
  virtual void OnEnd(const Call& call, const absl::Status& status) = 0;
};

// The name under which grpc.health.v1 answers SERVING from Start() on: this process need not be started again, even
// where it takes no calls, for it starts or drains.
inline constexpr char kLiveness[] = "liveness";

// Every limit holds for strangers too: it counts before anybody is known.
struct ServerOptions {
  std::string listen = "127.0.0.1:0";                         // host:port; port 0 picks one
  int loops = 2;                                              // threads, one completion queue each
  std::shared_ptr<grpc::ServerCredentials> credentials = {};  // null: without TLS
  // A second host:port without TLS, for probes that know none: it answers grpc.health.v1 alone. Empty: none.
  std::string health_listen = {};
  int max_message_bytes = 4 << 20;
  int max_metadata_bytes = 16 << 10;
  // Calls beyond these are RESOURCE_EXHAUSTED (SERVER_BUSY) with RetryInfo. Whoever reaches the port may watch the
  // health and ask for reflection, so their streams have limits of their own.
  int max_concurrent_calls = 20000;
  int max_health_watches = 4096;  // each client's connection may have one
  int max_reflections = 64;
  int max_streams = 1024;  // calls at once on a connection; the client queues the others
  // A connection is asked to end after about this time, so that clients see new certificates and new instances; calls
  // that run then have the grace.
  absl::Duration connection_age = absl::InfiniteDuration();
  absl::Duration connection_grace = absl::Minutes(1);
  absl::Duration handshake_timeout = absl::Seconds(10);  // from accept to the end of TLS and the first HTTP/2 frame
  absl::Duration default_deadline = absl::Seconds(10);   // for unary calls whose client set none
};

template <class Response>
class ServerWriter {  // of a stream to the client
 public:
  virtual ~ServerWriter() = default;
  // False once the stream is broken or its caller's credentials have expired: end the handler then.
  virtual async::Task<bool> Write(const Response& response) = 0;
};
template <class Request>
class ServerReader {  // of a stream from the client
 public:
  virtual ~ServerReader() = default;
  // False at the end of the stream, and where its caller's credentials have expired: call.cancelled() tells.
  virtual async::Task<bool> Read(Request* request) = 0;
};

class Health;

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();  // Shutdown(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // All before Start(). Services and interceptors are kept alive by the server; interceptors run in the order added.
  void AddService(std::shared_ptr<grpc::Service> service) { services_.push_back(std::move(service)); }
  void AddInterceptor(std::shared_ptr<Interceptor> interceptor) { interceptors_.push_back(std::move(interceptor)); }

  // Handler: Task<absl::StatusOr<Response>>(Call&, const Request&). A request that cannot be parsed is
  // INVALID_ARGUMENT.
  template <class Service, class Base, class Request, class Response, class Handler>
  void Unary(Service* service,
             void (Base::*method_type)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                       grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
             std::string_view method, Handler handler);
  // Handler: Task<absl::Status>(Call&, const Request&, ServerWriter<Response>&)
  template <class Service, class Base, class Request, class Response, class Handler>
  void ServerStreaming(Service* service,
                       void (Base::*request)(grpc::ServerContext*, Request*, grpc::ServerAsyncWriter<Response>*,
                                             grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                       std::string_view method, Handler handler);
  // Handler: Task<absl::StatusOr<Response>>(Call&, ServerReader<Request>&)
  template <class Service, class Base, class Request, class Response, class Handler>
  void ClientStreaming(Service* service,
                       void (Base::*request)(grpc::ServerContext*, grpc::ServerAsyncReader<Response, Request>*,
                                             grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                       std::string_view method, Handler handler);
  // Handler: Task<absl::Status>(Call&, ServerReader<Request>&, ServerWriter<Response>&)
  template <class Service, class Base, class Request, class Response, class Handler>
  void BidiStreaming(Service* service,
                     void (Base::*request)(grpc::ServerContext*, grpc::ServerAsyncReaderWriter<Response, Request>*,
                                           grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                     std::string_view method, Handler handler);

  // Binds and serves. UNAVAILABLE naming the address where it is taken. Health answers NOT_SERVING until
  // SetServing(true).
  absl::Status Start();
  int port() const { return port_; }  // the bound port
  std::vector<Loop*> loops() const;   // from Start() on; background coroutines may run here while the server does
  void SetServing(bool serving);      // grpc.health.v1, for "" and every service but kLiveness
  // "package.Service" of every method that was added.
  const std::set<std::string>& service_names() const { return service_names_; }
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }

  // Health NOT_SERVING, no new calls, streams see cancelled(), waits up to `grace` for running calls, cancels the rest,
  // stops the loops.
  // `drained` is called when the last call has ended: for what still runs on the loops besides calls.
  void Shutdown(absl::Duration grace, const std::function<void()>& drained = {});

 private:
  template <class S, class Q, class R, class H>
  struct UnaryMethod;
  template <class S, class Starter, class Stream, class H>
  struct StreamMethod;
  template <class Method>
  void Arm(const std::shared_ptr<Method>& method, int acceptors);
  // Counts the coroutines that serve or wait for calls, so that Shutdown knows when the last has ended.
  struct Alive {
    explicit Alive(Server& s) : server(&s) { server->alive_.fetch_add(1); }
    Alive(Alive&& other) noexcept : server(std::exchange(other.server, nullptr)) {}
    Alive& operator=(Alive&&) = delete;
    ~Alive() {
      if (server != nullptr) server->alive_.fetch_sub(1);
    }
    Server* server;
  };

  // The parts of serving a call that don't depend on its types.
  bool OnlyHealth(const grpc::ServerContext& context, std::string_view method) const;
  // False where that many calls of the kind run already; the call is counted all the same, until End.
  bool Count(const Call& call);
  std::atomic<int>& CounterOf(const Call& call);
  absl::Status Begin(Call& call, grpc::ServerContext& context, std::string_view method, bool stream);
  void End(Call& call, const absl::Status& status);

  const ServerOptions options_;
  std::vector<std::shared_ptr<grpc::Service>> services_;
  std::set<std::string> service_names_;
  std::vector<std::shared_ptr<Interceptor>> interceptors_;
  std::vector<std::function<void(Loop&, grpc::ServerCompletionQueue*)>> methods_;  // each arms one method on one loop
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::unique_ptr<Loop>> loops_;
  int port_ = 0;
  std::atomic<int> alive_ = 0;
  std::atomic<int> calls_ = 0, health_watches_ = 0, reflections_ = 0;  // running
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Health> health_;  // last: registers with the rest
};

}  // namespace flotilla::rpc

#include "rpc/server_inl.h"  // IWYU pragma: export
