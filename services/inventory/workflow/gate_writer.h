// What flows to the gate besides orders asking for stock: returns, corrections, SKUs it must learn. Writes gather while
// a round trip is in flight. A write that fails is not repeated: callers suspect its SKUs, and the healer sees to them.
// Only on an executor's thread, except where it says otherwise; resumes there.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/catalog/single_flight.h"
#include "inventory/catalog/sku_reader.h"
#include "inventory/gate/stock_gate.h"
#include "redis/client.h"

namespace flotilla::inventory {

class GateWriter {
 public:
  // `reader` and what `database_time` uses outlive it. `segments`, `database_time`: see stock_gate.h.
  GateWriter(const redis::Options& redis, SkuReader& reader, int segments,
             std::function<absl::Time()> database_time = absl::Now);
  // What all gates of this process share.
  StockGate::Memory& memory() { return memory_; }

  async::Task<void> Give(std::vector<Returned> returned);
  async::Task<void> GiveSurplus(std::vector<Returned> surplus);
  async::Task<void> Doubt(std::vector<std::string> skus);
  async::Task<void> Add(std::string sku, std::int64_t delta);
  async::Task<void> Learn(std::vector<StockGate::Purchase> purchases);
  async::Task<void> Extend(std::string order_id, std::vector<Line> lines, absl::Duration hold);
  // From SQL: what the gate does not know; once for all who ask at the same time.
  async::Task<void> Load(std::vector<std::string> skus);
  // From SQL: where the gate promises more than there is.
  async::Task<void> Lower(std::vector<std::string> skus);

  // SKUs whose gate may have drifted: noted from any thread, taken by the healer, at most `limit` a turn. Beyond
  // 100,000 none are added, and the healer's round finds them.
  void Suspect(const std::vector<std::string>& skus);
  std::set<std::string> TakeSuspects(std::size_t limit);

 private:
  struct GiveWrite {
    std::vector<Returned> returned;
  };
  struct SurplusWrite {
    std::vector<Returned> surplus;
  };
  struct DoubtWrite {
    std::vector<std::string> skus;
  };
  struct LoadWrite {
    std::vector<StockGate::Supply> supplies;
  };
  struct LowerWrite {
    std::vector<std::pair<std::string, std::int64_t>> stock;
  };
  struct AddWrite {
    std::string sku;
    std::int64_t delta = 0;
  };
  struct LearnWrite {
    std::vector<StockGate::Purchase> purchases;
  };
  struct ExtendWrite {
    std::string order_id;
    std::vector<Line> lines;
    absl::Duration hold;
  };
  using Write =
      std::variant<GiveWrite, SurplusWrite, DoubtWrite, LoadWrite, LowerWrite, AddWrite, LearnWrite, ExtendWrite>;
  struct Nothing {};

  // On the worker's thread.
  std::vector<absl::StatusOr<Nothing>> WriteAll(StockGate& gate, const std::vector<Write>& writes);
  absl::Status Lower(StockGate& gate, const LowerWrite& write);
  async::Task<void> Call(Write write);

  SkuReader& reader_;
  StockGate::Memory memory_;
  SingleFlight loading_;
  std::mutex mutex_;
  std::set<std::string> suspects_;
  batch::WorkerBatcher<Write, Nothing> writes_;  // last: its thread uses memory_
};

}  // namespace flotilla::inventory
