// Takes over orphans, and leaves to others what nobody here runs. Part of the engine.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "async/stop_signal.h"
#include "saga/flight.h"
#include "saga/saga.h"
#include "saga/store.h"
#include "telemetry/metrics.h"

namespace flotilla::saga {

class Recovery {
 public:
  // Runs a saga that was taken over, counted in the crowd until it ends, on the executor.
  using Resume = std::function<void(Claimed, Crowd&, async::Executor&)>;

  // `options` and `flights` outlive it.
  Recovery(const EngineOptions& options, std::vector<KnownDefinition> known, const Flights& flights, Resume resume);
  ~Recovery() { Stop(); }

  void Start(std::vector<async::Executor*> executors);
  void Stop();
  std::int64_t recovered() const { return recovered_; }

 private:
  void Run();
  void Summarize(Store& store);
  void DisownStrays(Store& store);
  bool HasRoom() const;
  // True where there may be more.
  bool Claim(Store& store);

  const EngineOptions& options_;
  const std::vector<KnownDefinition> known_;
  const Flights& flights_;
  const Resume resume_;
  const std::size_t batch_;
  std::vector<async::Executor*> executors_;
  std::size_t next_executor_ = 0;
  Crowd crowd_;
  std::atomic<std::int64_t> recovered_ = 0;
  prometheus::Gauge& parked_gauge_;
  prometheus::Gauge& oldest_gauge_;
  prometheus::Gauge& unknown_gauge_;
  prometheus::Counter& recovered_counter_;
  prometheus::Histogram& lag_histogram_;
  async::StopSignal stop_;
  std::thread thread_;
};

}  // namespace flotilla::saga
