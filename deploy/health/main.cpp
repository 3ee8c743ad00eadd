// flotilla-health: the health check of a container that has no shell.
//
//   flotilla-health host:port [service]
//
// Asks grpc.health.v1 once ("" is readiness, "liveness" the process itself). Exit 0: SERVING; 1: anything else within
// two seconds; 2: wrong usage.
#include <chrono>
#include <iostream>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: flotilla-health host:port [service]\n";
    return 2;
  }
  grpc::health::v1::HealthCheckRequest request;
  if (argc == 3) request.set_service(argv[2]);
  grpc::health::v1::HealthCheckResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  const auto stub = grpc::health::v1::Health::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) {
    std::cerr << "flotilla-health: " << argv[1] << ": " << status.error_message() << "\n";
    return 1;
  }
  std::cout << grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status()) << "\n";
  return response.status() == grpc::health::v1::HealthCheckResponse::SERVING ? 0 : 1;
}
