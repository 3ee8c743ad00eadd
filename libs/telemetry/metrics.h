// Metrics by prometheus-cpp, served on /metrics. Cache what the functions return: a look-up takes a lock.
#pragma once

#include <memory>
#include <string>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace flotilla::telemetry {

// The process's registry.
prometheus::Registry& Metrics();
// Names end in the unit (_seconds, _total). Same name and labels give the same object.
prometheus::Counter& Counter(const std::string& name, const std::string& help, const prometheus::Labels& labels = {});
prometheus::Gauge& Gauge(const std::string& name, const std::string& help, const prometheus::Labels& labels = {});
prometheus::Histogram& Latency(const std::string& name, const std::string& help, const prometheus::Labels& labels = {});

// Serves these and the process's own (process.h) as /metrics on host:port (port 0 picks one) until destroyed. Throws
// std::exception where the address is taken.
class MetricsEndpoint {
 public:
  explicit MetricsEndpoint(const std::string& listen);
  ~MetricsEndpoint();
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::telemetry
