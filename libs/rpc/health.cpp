#include "rpc/health.h"

#include <memory>
#include <utility>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/health/v1/health.pb.h"

namespace flotilla::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Of all watches.
constexpr char kKey[] = "";

// How late a watch may notice that its client has gone.
constexpr absl::Duration kTurn = absl::Seconds(1);

HealthCheckResponse Response(int status) {
  HealthCheckResponse response;
  response.set_status(static_cast<HealthCheckResponse::ServingStatus>(status));
  return response;
}

}  // namespace

Health::Health(Server& server) : server_(server) {
  using Service = grpc::health::v1::Health::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.Unary(service.get(), &Service::RequestCheck, "grpc.health.v1.Health/Check",
               [this](Call&, const HealthCheckRequest& request) -> async::Task<absl::StatusOr<HealthCheckResponse>> {
                 const int status = Of(request.service());
                 if (status == HealthCheckResponse::SERVICE_UNKNOWN) co_return absl::NotFoundError("unknown service");
                 co_return Response(status);
               });
  server.ServerStreaming(
      service.get(), &Service::RequestWatch, "grpc.health.v1.Health/Watch",
      [this](Call& call, const HealthCheckRequest& request, ServerWriter<HealthCheckResponse>& writer) {
        return Watch(call, request.service(), writer);
      });
}

void Health::SetServing(bool serving) {
  serving_.store(serving);
  Wake();
}

void Health::Wake() { watches_.PublishAll({}); }

async::Task<absl::Status> Health::Watch(Call& call, std::string service, ServerWriter<HealthCheckResponse>& writer) {
  const auto ticket = watches_.Register(kKey);
  int told = HealthCheckResponse::UNKNOWN;
  while (!call.cancelled()) {
    const int status = Of(service);
    if (std::exchange(told, status) != status) {
      const bool written = co_await writer.Write(Response(status));
      if (!written) break;
    }
    co_await ticket->Wait(async::After(kTurn));
  }
  co_return absl::CancelledError("the watch has ended");
}

int Health::Of(const std::string& service) const {
  if (service == kLiveness) return HealthCheckResponse::SERVING;
  if (!service.empty() && !server_.service_names().contains(service)) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_.load() ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

}  // namespace flotilla::rpc
