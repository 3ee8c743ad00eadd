// Sends spans to an OpenTelemetry collector by OTLP over gRPC, and decides which new traces are sampled.
#pragma once

#include <memory>
#include <string>

#include "tracing/span.h"

namespace flotilla::tracing {

struct ExportOptions {
  std::string endpoint;  // host:port of the collector, without TLS
  std::string service;   // service.name
  std::string instance;  // service.instance.id
  // New traces sampled a second, at most: all of them while calls are few, ever fewer of them as calls grow.
  double traces_per_second = 10;
  std::size_t max_queue = 8192;  // spans that wait; more are dropped and counted
};

// While it lives, the process's spans are kept and sent, each batch again until the collector takes or refuses it. One
// at a time. Its end waits for the last batch, two seconds at most.
class Exporter {
 public:
  explicit Exporter(ExportOptions options);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

 private:
  class Sender;
  std::unique_ptr<Sender> sender_;
};

// From any thread.
bool Exporting();
bool SampleNewTrace();  // false without an exporter
void Export(Ended span);

}  // namespace flotilla::tracing
