#include "tracing/exporter.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <thread>

#include "absl/strings/escaping.h"
#include "grpcpp/grpcpp.h"
#include "opentelemetry/trace_service.grpc.pb.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"

namespace flotilla::tracing {
namespace {

namespace otlp = opentelemetry::proto::collector::trace::v1;

constexpr std::size_t kBatch = 512;
constexpr std::chrono::milliseconds kPeriod(1000);
constexpr std::chrono::milliseconds kLongestPause(30000);
constexpr std::chrono::seconds kTimeout(5), kFarewell(2);

// Never destroyed: threads that end late still look at it.
struct Spool {
  std::atomic<bool> open = false;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::vector<Ended> spans;
  std::size_t max_spans = 0;
  // A bucket that holds one second's traces.
  double rate = 0, tokens = 0;
  std::chrono::steady_clock::time_point filled;
};
Spool& TheSpool() {
  static auto* const spool = new Spool;
  return *spool;
}

prometheus::Counter& Spans(const char* result) {
  return telemetry::Counter("flotilla_trace_spans_total", "Spans of sampled traces, by what became of them",
                            {{"result", result}});
}

void Set(const std::string& key, const std::string& value, google::protobuf::RepeatedPtrField<otlp::KeyValue>* out) {
  otlp::KeyValue* attribute = out->Add();
  attribute->set_key(key);
  attribute->mutable_value()->set_string_value(value);
}

std::string Bytes(std::string_view hex) { return absl::HexStringToBytes({hex.data(), hex.size()}); }

void Fill(const Ended& span, otlp::Span* out) {
  out->set_trace_id(Bytes(telemetry::TraceId(span.self.traceparent)));
  out->set_span_id(Bytes(telemetry::SpanId(span.self.traceparent)));
  out->set_parent_span_id(Bytes(telemetry::SpanId(span.parent)));
  out->set_name(span.name);
  out->set_kind(static_cast<otlp::Span::SpanKind>(span.kind));
  out->set_start_time_unix_nano(static_cast<std::uint64_t>(absl::ToUnixNanos(span.start)));
  out->set_end_time_unix_nano(static_cast<std::uint64_t>(absl::ToUnixNanos(span.start + span.duration)));
  for (const auto& [key, value] : span.attributes) Set(key, value, out->mutable_attributes());
  for (const Scope& link : span.links) {
    otlp::Span::Link* to = out->add_links();
    to->set_trace_id(Bytes(telemetry::TraceId(link.traceparent)));
    to->set_span_id(Bytes(telemetry::SpanId(link.traceparent)));
  }
  if (!span.status.ok()) {
    // The code alone: messages may quote what a user has sent.
    out->mutable_status()->set_code(otlp::Status::STATUS_CODE_ERROR);
    out->mutable_status()->set_message(absl::StatusCodeToString(span.status.code()));
  }
}

// As the OTLP specification lists them.
bool MayBeSentAgain(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    default:
      return false;
  }
}

}  // namespace

class Exporter::Sender {
 public:
  explicit Sender(ExportOptions options)
      : options_(std::move(options)),
        stub_(otlp::TraceService::NewStub(grpc::CreateChannel(options_.endpoint, grpc::InsecureChannelCredentials()))),
        sent_(Spans("exported")),
        refused_(Spans("refused")),
        thread_([this] { Run(); }) {}
  ~Sender() { thread_.join(); }

 private:
  void Run() {
    Spool& spool = TheSpool();
    std::vector<Ended> batch;
    std::chrono::milliseconds pause = kPeriod;
    for (bool last = false; !last;) {
      {
        std::unique_lock lock(spool.mutex);
        const bool again = !batch.empty();
        spool.wake.wait_for(lock, pause, [&] { return spool.stopping || (!again && spool.spans.size() >= kBatch); });
        last = spool.stopping;
        const std::size_t room = last ? spool.spans.size() : kBatch - std::min(kBatch, batch.size());
        const auto end = spool.spans.begin() + static_cast<std::ptrdiff_t>(std::min(room, spool.spans.size()));
        std::move(spool.spans.begin(), end, std::back_inserter(batch));
        spool.spans.erase(spool.spans.begin(), end);
      }
      if (batch.empty()) continue;
      const grpc::Status status = Send(batch, last ? kFarewell : kTimeout);
      if (!status.ok() && MayBeSentAgain(status.error_code()) && !last) {
        if (pause == kPeriod) {
          telemetry::Warning("the collector of traces does not answer",
                             {{"endpoint", options_.endpoint}, {"error", status.error_message()}});
        }
        pause = std::min(2 * pause, kLongestPause);
        continue;
      }
      pause = kPeriod;
      (status.ok() ? sent_ : refused_).Increment(static_cast<double>(batch.size()));
      batch.clear();
    }
  }

  grpc::Status Send(const std::vector<Ended>& spans, std::chrono::seconds timeout) {
    otlp::ExportTraceServiceRequest request;
    otlp::ResourceSpans* resource = request.add_resource_spans();
    Set("service.name", options_.service, resource->mutable_resource()->mutable_attributes());
    Set("service.instance.id", options_.instance, resource->mutable_resource()->mutable_attributes());
    otlp::ScopeSpans* scope = resource->add_scope_spans();
    scope->mutable_scope()->set_name("flotilla");
    for (const Ended& span : spans) Fill(span, scope->add_spans());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    otlp::ExportTraceServiceResponse response;
    return stub_->Export(&context, request, &response);
  }

  const ExportOptions options_;
  const std::unique_ptr<otlp::TraceService::Stub> stub_;
  prometheus::Counter& sent_;
  prometheus::Counter& refused_;
  std::thread thread_;  // last: uses the rest
};

Exporter::Exporter(ExportOptions options) {
  Spool& spool = TheSpool();
  {
    std::lock_guard lock(spool.mutex);
    spool.stopping = false;
    spool.max_spans = options.max_queue;
    spool.rate = spool.tokens = options.traces_per_second;
    spool.filled = std::chrono::steady_clock::now();
  }
  sender_ = std::make_unique<Sender>(std::move(options));
  spool.open.store(true);
}

Exporter::~Exporter() {
  Spool& spool = TheSpool();
  spool.open.store(false);
  {
    std::lock_guard lock(spool.mutex);
    spool.stopping = true;
  }
  spool.wake.notify_all();
}

bool Exporting() { return TheSpool().open.load(std::memory_order_relaxed); }

bool SampleNewTrace() {
  if (!Exporting()) return false;
  Spool& spool = TheSpool();
  std::lock_guard lock(spool.mutex);
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - std::exchange(spool.filled, now)).count();
  spool.tokens = std::min(std::max(spool.rate, 1.0), spool.tokens + seconds * spool.rate);
  if (spool.tokens < 1) return false;
  spool.tokens -= 1;
  return true;
}

void Export(Ended span) {
  static prometheus::Counter& dropped = Spans("dropped");
  Spool& spool = TheSpool();
  bool full = false;
  {
    std::lock_guard lock(spool.mutex);
    if (!spool.open.load() || spool.spans.size() >= spool.max_spans) {
      dropped.Increment();
      return;
    }
    spool.spans.push_back(std::move(span));
    full = spool.spans.size() == kBatch;
  }
  if (full) spool.wake.notify_one();
}

}  // namespace flotilla::tracing
