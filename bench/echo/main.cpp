// The ceiling: an echo on the same server code as the services. Argument: host:port.
#include <csignal>
#include <iostream>

#include "echo.grpc.pb.h"
#include "rpc/server.h"

int main(int argc, char** argv) {
  using flotilla::bench::v1::EchoRequest;
  using flotilla::bench::v1::EchoResponse;
  using Service = flotilla::bench::v1::EchoService::AsyncService;
  if (argc != 2) {
    std::cerr << "usage: flotilla-bench-echo host:port\n";
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  flotilla::rpc::ServerOptions options;
  options.listen = argv[1];
  flotilla::rpc::Server server(options);
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.Unary(
      service.get(), &Service::RequestEcho, "flotilla.bench.v1.EchoService/Echo",
      [](flotilla::rpc::Call&, const EchoRequest& request) -> flotilla::async::Task<absl::StatusOr<EchoResponse>> {
        EchoResponse response;
        response.set_payload(request.payload());
        co_return response;
      });
  if (auto status = server.Start(); !status.ok()) {
    std::cerr << status << "\n";
    return 1;
  }
  server.SetServing(true);
  int signal = 0;
  sigwait(&signals, &signal);
  server.Shutdown(absl::Seconds(1));
  return 0;
}
