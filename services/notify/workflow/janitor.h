// Deletes what is old, now and then.
#pragma once

#include <thread>

#include "async/stop_signal.h"
#include "notify/store/pruner.h"
#include "prometheus/counter.h"

namespace flotilla::notify {

// On a thread of its own. Any number of instances: what one has deleted the other does not find.
class Janitor {
 public:
  struct Options {
    postgres::Options postgres;
    // Longer than any event may come again: than the services keep their logs, and JetStream its streams.
    absl::Duration handled_retention = absl::Hours(21 * 24);
    absl::Duration delivery_retention = absl::Hours(30 * 24);
    absl::Duration notification_retention = absl::Hours(90 * 24);
    absl::Duration every = absl::Hours(1);
    absl::Duration pause = absl::Milliseconds(50);  // between batches
  };
  explicit Janitor(Options options);
  ~Janitor();  // stops and joins

 private:
  void Run();
  void Pass(absl::Status (Pruner::*prune)(absl::Duration, Pruner::Pass&), absl::Duration age,
            prometheus::Counter& deleted);

  const Options options_;
  Pruner pruner_;
  async::StopSignal stop_;
  std::thread thread_;
};

}  // namespace flotilla::notify
