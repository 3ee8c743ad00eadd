#include "runtime/interceptors.h"

#include <array>
#include <unordered_map>

#include "async/steady_time.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"
#include "tracing/exporter.h"

namespace flotilla::runtime {
namespace {

constexpr std::size_t kCodes = 17;

struct MethodMetrics {
  explicit MethodMetrics(std::string_view name)
      : method(name), seconds(telemetry::Latency("flotilla_rpc_seconds", "Time of a call", {{"method", method}})) {}

  prometheus::Counter& Count(std::size_t code) {
    if (counters[code] == nullptr) {
      counters[code] = &telemetry::Counter(
          "flotilla_rpc_total", "Calls ended",
          {{"method", method}, {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
    }
    return *counters[code];
  }

  const std::string method;
  prometheus::Histogram& seconds;
  std::array<prometheus::Counter*, kCodes> counters{};
};

// Looked up without a lock: a method's name is one string for the life of the server.
MethodMetrics& MetricsOf(std::string_view method) {
  thread_local std::unordered_map<const char*, std::unique_ptr<MethodMetrics>> cache;
  auto& entry = cache[method.data()];
  if (entry == nullptr) entry = std::make_unique<MethodMetrics>(method);
  return *entry;
}

}  // namespace

absl::Status Tracing::OnStart(rpc::Call& call) {
  const std::string parent = std::move(call.traceparent);
  const bool known = telemetry::IsTraceparent(parent);
  // Whoever began the trace has decided. Probes begin none.
  const bool sampled =
      known ? telemetry::IsSampled(parent) : !call.method.starts_with("grpc.") && tracing::SampleNewTrace();
  call.traceparent = telemetry::ChildTraceparent(parent, sampled);
  if (!sampled) return absl::OkStatus();
  call.span =
      std::make_unique<tracing::Span>(call.method, tracing::Kind::kServer, call.traceparent, known ? parent : "");
  return absl::OkStatus();
}

void Tracing::OnEnd(const rpc::Call& call, const absl::Status& status) {
  if (call.span != nullptr) call.span->End(status);
}

void CallMetrics::OnEnd(const rpc::Call& call, const absl::Status& status) {
  MethodMetrics& metrics = MetricsOf(call.method);
  metrics.seconds.Observe(absl::ToDoubleSeconds(-async::Until(call.begun)));
  metrics.Count(std::min<std::size_t>(static_cast<std::size_t>(status.code()), kCodes - 1)).Increment();
}

}  // namespace flotilla::runtime
