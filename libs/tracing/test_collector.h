// A collector for tests: takes spans by OTLP, as an OpenTelemetry collector does, and keeps them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "opentelemetry/trace_service.grpc.pb.h"

namespace flotilla::tracing {

class TestCollector final : public opentelemetry::proto::collector::trace::v1::TraceService::Service {
 public:
  using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
  using Response = opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;
  struct Received {
    std::string service, instance;
    opentelemetry::proto::collector::trace::v1::Span span;
  };

  // Refuses the first calls with these codes.
  explicit TestCollector(std::vector<grpc::StatusCode> refusals = {}) : refusals_(std::move(refusals)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~TestCollector() override { server_->Shutdown(); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  std::vector<Received> spans() const {
    std::lock_guard lock(mutex_);
    return spans_;
  }

  grpc::Status Export(grpc::ServerContext*, const Request* request, Response*) override {
    std::lock_guard lock(mutex_);
    if (calls_ < refusals_.size()) return {refusals_[calls_++], "not now"};
    for (const auto& resource : request->resource_spans()) {
      std::map<std::string, std::string> attributes;
      for (const auto& each : resource.resource().attributes()) attributes[each.key()] = each.value().string_value();
      for (const auto& scope : resource.scope_spans()) {
        for (const auto& span : scope.spans()) {
          spans_.push_back({attributes["service.name"], attributes["service.instance.id"], span});
        }
      }
    }
    return grpc::Status::OK;
  }

 private:
  const std::vector<grpc::StatusCode> refusals_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::size_t calls_ = 0;
  std::vector<Received> spans_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace flotilla::tracing
