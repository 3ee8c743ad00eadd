// Compares open statements of the provider with the ledger again, on a thread of its own: a comparison takes long, and
// neither deadlines nor settlement may wait for it. In every instance; they share the work through the database.
#pragma once

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "payment/store/reconciliation_store.h"
#include "payment/store/statement_store.h"
#include "prometheus/counter.h"

namespace flotilla::payment {

class Reconciler {
 public:
  struct Options {
    postgres::Options postgres;
    absl::Duration every = absl::Minutes(1);  // a statement
    std::function<void()> wake = {};          // the relay
    absl::Duration period = absl::Milliseconds(500);
  };
  explicit Reconciler(Options options);
  ~Reconciler();  // stops and joins

 private:
  void Run();
  // False where the database is away: tried again next time.
  bool CompareNext();

  const Options options_;
  StatementStore statements_;
  ReconciliationStore comparisons_;
  prometheus::Counter& compared_;
  prometheus::Counter& failed_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::payment
