// What every service does with every call.
#pragma once

#include "rpc/server.h"

namespace flotilla::runtime {

// Makes call.traceparent this call's own span, and records it where the trace is sampled.
class Tracing final : public rpc::Interceptor {
 public:
  absl::Status OnStart(rpc::Call& call) override;
  void OnEnd(const rpc::Call& call, const absl::Status& status) override;
};

// Rate, errors, duration: flotilla_rpc_total{method,code} and flotilla_rpc_seconds{method} (of a stream: its life).
class CallMetrics final : public rpc::Interceptor {
 public:
  absl::Status OnStart(rpc::Call&) override { return absl::OkStatus(); }
  void OnEnd(const rpc::Call& call, const absl::Status& status) override;
};

}  // namespace flotilla::runtime
