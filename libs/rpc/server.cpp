#include "rpc/server.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "absl/time/clock.h"
#include "errors/errors.h"
#include "google/protobuf/descriptor.h"
#include "grpc/grpc_security_constants.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/transport.h"

namespace flotilla::rpc {

int internal::MethodIndex(std::string_view method) {
  std::string name(method);
  std::replace(name.begin(), name.end(), '/', '.');
  const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  if (descriptor == nullptr) throw std::logic_error("there is no method " + name);
  return descriptor->index();
}

absl::Status internal::WithReason(absl::Status status) {
  if (!absl::IsResourceExhausted(status) || !errors::Reason(status).empty()) return status;
  return errors::Busy(std::string_view(status.message().data(), status.message().size()));
}

std::string_view Call::Metadata(const char* key) const {
  const auto it = context->client_metadata().find(key);
  if (it == context->client_metadata().end()) return {};
  return {it->second.data(), it->second.size()};
}

absl::Status Call::Ended(absl::Status status) const {
  if (!expired()) return status;
  return errors::Make(absl::StatusCode::kUnauthenticated, "TOKEN_EXPIRED", "the token has expired");
}

Server::Server(ServerOptions options) : options_(std::move(options)), health_(std::make_unique<Health>(*this)) {
  AddReflection(*this);
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

absl::Status Server::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options_.listen,
                           options_.credentials != nullptr ? options_.credentials : grpc::InsecureServerCredentials(),
                           &port_);
  int health_port = 1;
  if (!options_.health_listen.empty()) {
    builder.AddListeningPort(options_.health_listen, grpc::InsecureServerCredentials(), &health_port);
  }
  LimitTransport(builder, options_);
  for (auto& service : services_) builder.RegisterService(service.get());
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  queues.reserve(static_cast<std::size_t>(options_.loops));
  for (int i = 0; i < options_.loops; ++i) queues.push_back(builder.AddCompletionQueue());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port_ == 0 || health_port == 0) {
    server_.reset();
    for (auto& queue : queues) {
      queue->Shutdown();
      void* tag = nullptr;
      bool ok = false;
      while (queue->Next(&tag, &ok)) {
      }
    }
    const std::string second = options_.health_listen.empty() ? "" : " or " + options_.health_listen;
    return absl::UnavailableError("cannot listen on " + options_.listen + second + ": is the address taken?");
  }
  for (auto& queue : queues) {
    auto* raw = queue.get();
    loops_.push_back(std::make_unique<Loop>(std::move(queue)));
    for (auto& arm : methods_) arm(*loops_.back(), raw);
  }
  return absl::OkStatus();
}

std::vector<Loop*> Server::loops() const {
  std::vector<Loop*> out;
  out.reserve(loops_.size());
  for (const auto& loop : loops_) out.push_back(loop.get());
  return out;
}

void Server::SetServing(bool serving) { health_->SetServing(serving); }

// gRPC serves every method on every port, so what comes by the port for probes is told by its transport.
bool Server::OnlyHealth(const grpc::ServerContext& context, std::string_view method) const {
  if (options_.health_listen.empty() || options_.credentials == nullptr) return false;
  if (method.starts_with("grpc.health.v1.")) return false;
  const auto transport = context.auth_context()->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  return transport.size() != 1 || transport[0] != GRPC_TLS_TRANSPORT_SECURITY_TYPE;
}

std::atomic<int>& Server::CounterOf(const Call& call) {
  if (!call.stream || !call.method.starts_with("grpc.")) return calls_;
  return call.method.starts_with("grpc.health.") ? health_watches_ : reflections_;
}

bool Server::Count(const Call& call) {
  std::atomic<int>& counter = CounterOf(call);
  const int most = &counter == &calls_            ? options_.max_concurrent_calls
                   : &counter == &health_watches_ ? options_.max_health_watches
                                                  : options_.max_reflections;
  return counter.fetch_add(1, std::memory_order_relaxed) < most;
}

absl::Status Server::Begin(Call& call, grpc::ServerContext& context, std::string_view method, bool stream) {
  call.method = method;
  call.context = &context;
  call.stream = stream;
  if (stream) call.ending_ = &stopping_;
  call.start = absl::Now();
  call.begun = async::SteadyNow();
  const auto deadline = context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    call.deadline = absl::FromChrono(deadline);
  } else {
    call.deadline = stream ? absl::InfiniteFuture() : call.start + options_.default_deadline;
  }
  call.traceparent = std::string(call.Metadata("traceparent"));
  if (!Count(call)) return errors::Busy("too many calls at once");
  if (OnlyHealth(context, method)) {
    return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_ALLOWED", "this port answers grpc.health.v1 alone");
  }
  for (auto& interceptor : interceptors_) {
    if (auto status = interceptor->OnStart(call); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void Server::End(Call& call, const absl::Status& status) {
  for (auto& interceptor : interceptors_) interceptor->OnEnd(call, status);
  CounterOf(call).fetch_sub(1, std::memory_order_relaxed);
}

void Server::Shutdown(absl::Duration grace, const std::function<void()>& drained) {
  if (server_ == nullptr) return;
  SetServing(false);
  stopping_.store(true, std::memory_order_release);
  health_->Wake();  // watches see that the server stops
  // Returns when all calls are finished; those that are not by then are cancelled.
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  // Handlers end by themselves: whatever they wait for answers in bounded time.
  while (alive_.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (drained) drained();
  for (auto& loop : loops_) loop->Stop();
  server_.reset();
}

}  // namespace flotilla::rpc
