// The templates of server.h.
#pragma once

#include "errors/errors.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "rpc/request_bytes.h"
#include "rpc/server.h"

namespace flotilla::rpc {

// How many calls of a method each loop is ready to accept at once; each accepted call arms its successor first.
inline constexpr int kUnaryAcceptors = 32;
inline constexpr int kStreamAcceptors = 4;

namespace internal {

// Asks for a unary call's request as bytes, so that one protobuf cannot parse is answered, not cut off. The generated
// services offer this only to classes derived from them.
struct RawUnary : grpc::Service {
  static void Request(grpc::Service& service, int method, grpc::ServerContext* context, grpc::ByteBuffer* request,
                      grpc::internal::ServerAsyncStreamingInterface* responder, grpc::ServerCompletionQueue* queue,
                      void* tag) {
    (service.*&RawUnary::RequestAsyncUnary<grpc::ByteBuffer>)(method, context, request, responder, queue, queue, tag);
  }
};

// A full queue says no more than RESOURCE_EXHAUSTED; a client is told when to come again.
absl::Status WithReason(absl::Status status);

// The number of "package.Service/Method" within its service.
int MethodIndex(std::string_view method);

}  // namespace internal

template <class S, class Q, class R, class H>
struct Server::UnaryMethod {
  Server& server;
  S* service;
  int index;
  std::string method;
  H handler;

  async::Task<void> Serve(grpc::ServerCompletionQueue* queue, [[maybe_unused]] Alive alive) {
    grpc::ServerContext context;
    grpc::ByteBuffer bytes;
    grpc::ServerAsyncResponseWriter<R> responder(&context);
    Operation operation;
    const bool accepted = co_await operation.Run(
        [&](void* tag) { internal::RawUnary::Request(*service, index, &context, &bytes, &responder, queue, tag); });
    if (!accepted) co_return;
    async::Start(Serve(queue, Alive(server)));

    Call call;
    absl::Status status = server.Begin(call, context, method, false);
    Q message;
    if (status.ok()) {
      grpc::ByteBuffer copy(bytes);  // parsing consumes it
      if (!grpc::SerializationTraits<Q>::Deserialize(&copy, &message).ok()) status = ExplainUnparsable(message, bytes);
    }
    if (status.ok()) {
      co_await async::SetScope(call.scope());
      absl::StatusOr<R> response = co_await handler(call, message);
      status = internal::WithReason(response.status());
      if (response.ok()) {
        co_await operation.Run([&](void* tag) { responder.Finish(*response, grpc::Status::OK, tag); });
        server.End(call, status);
        co_return;
      }
    }
    const grpc::Status refusal = errors::ToGrpc(status);
    co_await operation.Run([&](void* tag) { responder.FinishWithError(refusal, tag); });
    server.End(call, status);
  }
};

// Streams also learn of the client's going away, by gRPC's "done" tag, which must be awaited before the context dies.
template <class S, class Starter, class Stream, class H>
struct Server::StreamMethod {
  Server& server;
  S* service;
  Starter starter;  // (service, context, message, stream, queue, tag): asks gRPC for the next call
  std::string method;
  H handler;  // Task<absl::Status>(Call&, StreamState&): runs the user's handler; finishes nothing

  struct Done {
    Call* call = nullptr;
    bool reported = false;
    std::coroutine_handle<> waiter;
    Operation operation;
    static void Report(void* self, bool) {
      auto* done = static_cast<Done*>(self);
      done->reported = true;
      if (done->call != nullptr) done->call->cancelled_.store(true, std::memory_order_release);
      if (done->waiter) done->waiter.resume();
    }
    bool await_ready() const noexcept { return reported; }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiter = h; }
    void await_resume() const noexcept {}
  };

  async::Task<void> Serve(grpc::ServerCompletionQueue* queue, [[maybe_unused]] Alive alive) {
    grpc::ServerContext context;
    Call call;
    Done done;
    done.call = &call;
    context.AsyncNotifyWhenDone(done.operation.OnReport(&Done::Report, &done));
    Stream stream(&context);
    Operation operation;
    const bool accepted = co_await operation.Run([&](void* tag) { starter(service, &context, &stream, queue, tag); });
    if (!accepted) co_return;  // the done tag is not reported for a call that never began
    async::Start(Serve(queue, Alive(server)));

    absl::Status status = server.Begin(call, context, method, true);
    stream.call = &call;
    if (status.ok()) {
      co_await async::SetScope(call.scope());
      status = co_await handler(call, stream, operation);
    } else {
      co_await stream.FinishWithError(errors::ToGrpc(status), operation);
    }
    co_await done;
    server.End(call, status);
  }
};

namespace internal {

template <class Q, class R>
struct ServerStream final : ServerWriter<R> {
  explicit ServerStream(grpc::ServerContext* context) : writer(context) {}
  async::Task<bool> Write(const R& response) override {
    if (call->expired()) co_return false;
    const bool ok = co_await operation.Run([&](void* tag) { writer.Write(response, tag); });
    co_return ok && !call->expired();
  }
  async::Task<void> FinishWithError(grpc::Status status, Operation& op) {
    co_await op.Run([&](void* tag) { writer.Finish(status, tag); });
  }
  Q message;
  grpc::ServerAsyncWriter<R> writer;
  const Call* call = nullptr;  // set before the handler runs
  Operation operation;
};

template <class Q, class R>
struct ClientStream final : ServerReader<Q> {
  explicit ClientStream(grpc::ServerContext* context) : reader(context) {}
  async::Task<bool> Read(Q* request) override {
    const bool ok = co_await operation.Run([&](void* tag) { reader.Read(request, tag); });
    co_return ok && !call->expired();
  }
  async::Task<void> FinishWithError(grpc::Status status, Operation& op) {
    co_await op.Run([&](void* tag) { reader.FinishWithError(status, tag); });
  }
  grpc::ServerAsyncReader<R, Q> reader;
  const Call* call = nullptr;  // set before the handler runs
  Operation operation;
};

// Reading and writing may go on at the same time, so each has its own operation.
template <class Q, class R>
struct BidiStream final : ServerReader<Q>, ServerWriter<R> {
  explicit BidiStream(grpc::ServerContext* context) : stream(context) {}
  async::Task<bool> Read(Q* request) override {
    const bool ok = co_await reading.Run([&](void* tag) { stream.Read(request, tag); });
    co_return ok && !call->expired();
  }
  async::Task<bool> Write(const R& response) override {
    if (call->expired()) co_return false;
    const bool ok = co_await writing.Run([&](void* tag) { stream.Write(response, tag); });
    co_return ok && !call->expired();
  }
  async::Task<void> FinishWithError(grpc::Status status, Operation& op) {
    co_await op.Run([&](void* tag) { stream.Finish(status, tag); });
  }
  grpc::ServerAsyncReaderWriter<R, Q> stream;
  const Call* call = nullptr;  // set before the handler runs
  Operation reading, writing;
};

}  // namespace internal

template <class Method>
void Server::Arm(const std::shared_ptr<Method>& method, int acceptors) {
  service_names_.insert(method->method.substr(0, method->method.find('/')));
  methods_.push_back([method, acceptors](Loop& loop, grpc::ServerCompletionQueue* queue) {
    for (int i = 0; i < acceptors; ++i) async::Spawn(loop, method->Serve(queue, Alive(method->server)));
  });
}

template <class Service, class Base, class Request, class Response, class Handler>
void Server::Unary(Service* service,
                   void (Base::*)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                  grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                   std::string_view method, Handler handler) {
  using Method = UnaryMethod<Service, Request, Response, Handler>;
  const std::shared_ptr<Method> state(
      new Method{*this, service, internal::MethodIndex(method), std::string(method), std::move(handler)});
  Arm(state, kUnaryAcceptors);
}

template <class Service, class Base, class Request, class Response, class Handler>
void Server::ServerStreaming(Service* service,
                             void (Base::*request)(grpc::ServerContext*, Request*, grpc::ServerAsyncWriter<Response>*,
                                                   grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                             std::string_view method, Handler handler) {
  using Stream = internal::ServerStream<Request, Response>;
  auto start = [request](Service* s, grpc::ServerContext* context, Stream* stream, grpc::ServerCompletionQueue* queue,
                         void* tag) { (s->*request)(context, &stream->message, &stream->writer, queue, queue, tag); };
  auto run = [handler = std::move(handler)](Call& call, Stream& stream,
                                            Operation& operation) -> async::Task<absl::Status> {
    const absl::Status ended = co_await handler(call, stream.message, stream);
    const absl::Status status = call.Ended(ended);
    const grpc::Status end = errors::ToGrpc(status);
    co_await operation.Run([&](void* tag) { stream.writer.Finish(end, tag); });
    co_return status;
  };
  using Method = StreamMethod<Service, decltype(start), Stream, decltype(run)>;
  const std::shared_ptr<Method> state(new Method{*this, service, start, std::string(method), std::move(run)});
  Arm(state, kStreamAcceptors);
}

template <class Service, class Base, class Request, class Response, class Handler>
void Server::ClientStreaming(Service* service,
                             void (Base::*request)(grpc::ServerContext*, grpc::ServerAsyncReader<Response, Request>*,
                                                   grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                             std::string_view method, Handler handler) {
  using Stream = internal::ClientStream<Request, Response>;
  auto start = [request](Service* s, grpc::ServerContext* context, Stream* stream, grpc::ServerCompletionQueue* queue,
                         void* tag) { (s->*request)(context, &stream->reader, queue, queue, tag); };
  auto run = [handler = std::move(handler)](Call& call, Stream& stream,
                                            Operation& operation) -> async::Task<absl::Status> {
    absl::StatusOr<Response> response = co_await handler(call, stream);
    const absl::Status status = response.ok() ? response.status() : call.Ended(response.status());
    const grpc::Status end = errors::ToGrpc(status);
    co_await operation.Run([&](void* tag) {
      if (response.ok()) {
        stream.reader.Finish(*response, end, tag);
      } else {
        stream.reader.FinishWithError(end, tag);
      }
    });
    co_return status;
  };
  using Method = StreamMethod<Service, decltype(start), Stream, decltype(run)>;
  const std::shared_ptr<Method> state(new Method{*this, service, start, std::string(method), std::move(run)});
  Arm(state, kStreamAcceptors);
}

template <class Service, class Base, class Request, class Response, class Handler>
void Server::BidiStreaming(Service* service,
                           void (Base::*request)(grpc::ServerContext*,
                                                 grpc::ServerAsyncReaderWriter<Response, Request>*,
                                                 grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                           std::string_view method, Handler handler) {
  using Stream = internal::BidiStream<Request, Response>;
  auto start = [request](Service* s, grpc::ServerContext* context, Stream* stream, grpc::ServerCompletionQueue* queue,
                         void* tag) { (s->*request)(context, &stream->stream, queue, queue, tag); };
  auto run = [handler = std::move(handler)](Call& call, Stream& stream,
                                            Operation& operation) -> async::Task<absl::Status> {
    const absl::Status ended = co_await handler(call, stream, stream);
    const absl::Status status = call.Ended(ended);
    const grpc::Status end = errors::ToGrpc(status);
    co_await operation.Run([&](void* tag) { stream.stream.Finish(end, tag); });
    co_return status;
  };
  using Method = StreamMethod<Service, decltype(start), Stream, decltype(run)>;
  const std::shared_ptr<Method> state(new Method{*this, service, start, std::string(method), std::move(run)});
  Arm(state, kStreamAcceptors);
}

}  // namespace flotilla::rpc
