// What flows to the gate besides orders asking for stock: returns, corrections, SKUs it must learn. Writes gather while
// a round trip is in flight. A write that fails is not repeated: its SKU is suspected, and the healer sees to it. Only
// on an executor's thread, except where it says otherwise; resumes there.
#pragma once

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
  // `reader` outlives it. `segments`: see stock_gate.h.
  GateWriter(const redis::Options& redis, SkuReader& reader, int segments);
  // What all gates of this process share.
  StockGate::Memory& memory() { return memory_; }

  async::Task<void> Give(std::vector<Returned> returned);
  async::Task<void> Add(std::string sku, std::int64_t delta);
  async::Task<void> Learn(std::vector<StockGate::Purchase> purchases);
  async::Task<void> Extend(std::string order_id, std::vector<Line> lines, absl::Duration hold);
  // From SQL: what the gate does not know; once for all who ask at the same time.
  async::Task<void> Load(std::vector<std::string> skus);
  // From SQL: where the gate promises more than there is.
  async::Task<void> Lower(std::vector<std::string> skus);

  // SKUs whose gate may have drifted: noted from any thread, taken by the healer.
  void Suspect(const std::vector<std::string>& skus);
  std::set<std::string> TakeSuspects();

 private:
  struct GiveWrite {
    std::vector<Returned> returned;
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
  using Write = std::variant<GiveWrite, LoadWrite, LowerWrite, AddWrite, LearnWrite, ExtendWrite>;
  struct Nothing {};

  static std::vector<absl::StatusOr<Nothing>> WriteAll(StockGate& gate, const std::vector<Write>& writes);
  async::Task<void> Call(Write write);

  SkuReader& reader_;
  StockGate::Memory memory_;
  SingleFlight loading_;
  std::mutex mutex_;
  std::set<std::string> suspects_;
  batch::WorkerBatcher<Write, Nothing> writes_;  // last: its thread uses memory_
};

}  // namespace flotilla::inventory
