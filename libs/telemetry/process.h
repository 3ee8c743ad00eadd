// This process as Prometheus clients report it
// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
#pragma once

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace flotilla::telemetry {

// process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, process_max_fds, process_threads,
// process_start_time_seconds; read from /proc at every scrape. What cannot be read is left out.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace flotilla::telemetry
