// Background work on a thread of its own, in every instance: returns expired holds, heals the gate from SQL, and keeps
// the catalog up to date.
#pragma once

#include <map>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "inventory/catalog/catalog.h"
#include "inventory/gate/stock_gate.h"
#include "inventory/store/hold_store.h"
#include "inventory/store/sku_store.h"
#include "inventory/workflow/gate_writer.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"

namespace flotilla::inventory {

class Keeper {
 public:
  struct Options {
    absl::Duration period = absl::Milliseconds(250);
    int expired_batch = 500;  // holds a transaction
    int sweep_batch = 250;    // SKUs compared each period, besides the suspects
    int suspect_batch = 2000;
  };
  // The references outlive it.
  Keeper(const postgres::Options& postgres, const redis::Options& redis, Catalog& catalog, GateWriter& writer,
         Options options);
  ~Keeper();  // stops and joins

 private:
  void Run();
  void ExpireHolds();
  void HealGate();
  // These and the next ones of the round. False where not all could be compared.
  bool CompareAll(const std::vector<std::string>& names);
  // False where the gate cannot be read or corrected.
  bool Compare(const std::map<std::string, std::int64_t>& truth);

  const Options options_;
  Catalog& catalog_;
  GateWriter& writer_;
  HoldStore holds_;
  SkuStore skus_;
  StockGate gate_;
  std::string sweep_after_;
  // Differences seen one period ago, gate and SQL. A difference that stands still is drift; one that moves is orders on
  // their way between the two.
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> differing_;
  prometheus::Gauge& drift_;
  prometheus::Counter& healed_;
  prometheus::Counter& expired_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::inventory
