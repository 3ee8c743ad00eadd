#include "telemetry/metrics.h"

#include <map>
#include <mutex>

#include "prometheus/exposer.h"
#include "telemetry/process.h"

namespace flotilla::telemetry {
namespace {

// From 0.1 ms to 10 s, three a decade.
const prometheus::Histogram::BucketBoundaries kLatencyBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

const std::shared_ptr<prometheus::Registry>& Shared() {
  // Merge: asking again for a family gives the one that is there.
  static const auto* registry =
      new auto(std::make_shared<prometheus::Registry>(prometheus::Registry::InsertBehavior::Merge));
  return *registry;
}

}  // namespace

prometheus::Registry& Metrics() { return *Shared(); }

prometheus::Counter& Counter(const std::string& name, const std::string& help, const prometheus::Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(Metrics()).Add(labels);
}

prometheus::Gauge& Gauge(const std::string& name, const std::string& help, const prometheus::Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(Metrics()).Add(labels);
}

prometheus::Histogram& Latency(const std::string& name, const std::string& help, const prometheus::Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(Metrics()).Add(labels, kLatencyBuckets);
}

struct MetricsEndpoint::Impl {
  explicit Impl(const std::string& listen) : exposer(listen, 1) {
    exposer.RegisterCollectable(Shared());
    exposer.RegisterCollectable(process);
  }
  const std::shared_ptr<ProcessMetrics> process = std::make_shared<ProcessMetrics>();  // the exposer does not keep it
  prometheus::Exposer exposer;
};

MetricsEndpoint::MetricsEndpoint(const std::string& listen) : impl_(std::make_unique<Impl>(listen)) {}

MetricsEndpoint::~MetricsEndpoint() = default;

int MetricsEndpoint::port() const { return impl_->exposer.GetListeningPorts().at(0); }

}  // namespace flotilla::telemetry
