// Coroutine gRPC server: handlers are coroutines that return absl::StatusOr<Response> (unary) or absl::Status (streams).
//
//   rpc::Server server({.listen = "127.0.0.1:0"});
//   auto service = std::make_shared<InventoryService::AsyncService>();
//   server.AddService(service);
//   server.Unary(service.get(), &InventoryService::AsyncService::RequestReserve, "flotilla.inventory.v1.InventoryService/Reserve",
//       [&](rpc::Call& call, const ReserveRequest& request) -> async::Task<absl::StatusOr<ReserveResponse>> {...});
//   server.Start();
//
// The server answers grpc.health.v1 and reflection itself. Every accepted call is finished exactly once, cancelled ones too.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "grpcpp/grpcpp.h"
#include "rpc/loop.h"

namespace flotilla::rpc {

// One call in progress, handed to its handler. Lives until the handler's coroutine has ended.
struct Call {
  std::string_view method;               // "package.Service/Method"
  grpc::ServerContext* context = nullptr;
  absl::Time deadline;                   // InfiniteFuture() if the client set none
  std::string user_id;                   // set by the authentication interceptor, else empty
  std::string traceparent;               // W3C Trace Context, for this call's own span; never empty
  // True once the client has gone (streams only; a unary call runs to its end).
  bool cancelled() const { return cancelled_ && *cancelled_; }
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

// Sees every call. OnStart may refuse it (auth, limits); OnEnd runs after the reply was handed to gRPC.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  virtual absl::Status OnStart(Call& call) = 0;
  virtual void OnEnd(const Call& call, const absl::Status& status, absl::Duration took) = 0;
};

struct ServerOptions {
  std::string listen = "127.0.0.1:0";      // host:port; port 0 picks one
  int loops = 2;                           // threads, one completion queue each
  int max_message_bytes = 4 << 20;
  int max_concurrent_calls = 20000;        // beyond: RESOURCE_EXHAUSTED (SERVER_BUSY) with RetryInfo
  absl::Duration default_deadline = absl::Seconds(10);  // for unary calls whose client set none
};

template <class Response>
class ServerWriter {  // of a stream to the client
 public:
  virtual ~ServerWriter() = default;
  // False once the stream is broken: end the handler then.
  virtual async::Task<bool> Write(const Response& response) = 0;
};
template <class Request>
class ServerReader {  // of a stream from the client
 public:
  virtual ~ServerReader() = default;
  // False at the end of the stream.
  virtual async::Task<bool> Read(Request* request) = 0;
};

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();  // Shutdown(ZeroDuration)

  // All before Start(). Services and interceptors are kept alive by the server; interceptors run in the order added.
  void AddService(std::shared_ptr<grpc::Service> service);
  void AddInterceptor(std::shared_ptr<Interceptor> interceptor);

  template <class Service, class Request, class Response>
  using RequestUnary = void (Service::*)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                         grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*);
  template <class Base, class Service, class Request, class Response, class Handler>
  void Unary(Service* service, RequestUnary<Base, Request, Response> request, std::string_view method, Handler handler);

  // Handler: Task<absl::Status>(Call&, const Request&, ServerWriter<Response>&)
  template <class Base, class Service, class Request, class Response, class Handler>
  void ServerStreaming(Service* service,
                       void (Base::*request)(grpc::ServerContext*, Request*, grpc::ServerAsyncWriter<Response>*,
                                             grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                       std::string_view method, Handler handler);
  // Handler: Task<absl::StatusOr<Response>>(Call&, ServerReader<Request>&)
  template <class Base, class Service, class Request, class Response, class Handler>
  void ClientStreaming(Service* service,
                       void (Base::*request)(grpc::ServerContext*, grpc::ServerAsyncReader<Response, Request>*,
                                             grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                       std::string_view method, Handler handler);
  // Handler: Task<absl::Status>(Call&, ServerReader<Request>&, ServerWriter<Response>&)
  template <class Base, class Service, class Request, class Response, class Handler>
  void BidiStreaming(Service* service,
                     void (Base::*request)(grpc::ServerContext*, grpc::ServerAsyncReaderWriter<Response, Request>*,
                                           grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                     std::string_view method, Handler handler);

  // Binds and serves. UNAVAILABLE naming the address where it is taken. Health answers NOT_SERVING until SetServing(true).
  absl::Status Start();
  int port() const;                       // the bound port
  std::vector<Loop*> loops() const;       // valid from Start() to the destructor; background coroutines may run here
  void SetServing(bool serving);          // grpc.health.v1, for "" and every service

  // Health NOT_SERVING, no new calls, waits up to `grace` for running ones, cancels the rest, stops the loops.
  void Shutdown(absl::Duration grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::rpc

#include "rpc/server_inl.h"  // the templates
