// Reservations for coroutines: the gate first, then SQL; requests gather while a round trip is in flight and go
// together in the next one. Only on an executor's thread; resumes there. RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/domain/stock.h"
#include "inventory/gate/stock_gate.h"
#include "inventory/store/stock_store.h"
#include "postgres/session.h"
#include "redis/client.h"

namespace flotilla::inventory {

class Inventory {
 public:
  Inventory(const postgres::Options& postgres, const redis::Options& redis);

  // Results in the order of the arguments, each for itself. Without Redis SQL decides alone.
  async::Task<std::vector<absl::StatusOr<ReserveResult>>> Reserve(std::vector<ReserveCommand> commands);
  async::Task<absl::StatusOr<std::vector<Outcome>>> Confirm(std::vector<std::string> order_ids);
  async::Task<absl::StatusOr<std::vector<Outcome>>> Release(std::vector<ReleaseCommand> commands);
  async::Task<absl::StatusOr<Sku>> Put(PutSkuCommand command);
  async::Task<absl::StatusOr<AdjustResult>> Adjust(AdjustCommand command);
  // Nothing where there is no such SKU.
  async::Task<absl::StatusOr<std::optional<Sku>>> Read(std::string sku);

  // SKUs whose gate may have drifted since the last call: for the healer.
  std::set<std::string> TakeSuspects();
  // For the sweeper, whose returns the gate learns too.
  void Suspect(const std::vector<std::string>& skus);

 private:
  struct GiveCommand {
    std::vector<Returned> returned;
  };
  struct LoadCommand {
    std::vector<std::pair<std::string, std::int64_t>> stock;
  };
  struct LowerCommand {
    std::vector<std::pair<std::string, std::int64_t>> stock;
  };
  struct AddCommand {
    std::string sku;
    std::int64_t delta = 0;
  };
  using GateWrite = std::variant<GiveCommand, LoadCommand, LowerCommand, AddCommand>;
  using AdminCommand = std::variant<PutSkuCommand, AdjustCommand>;
  using AdminResult = std::variant<Sku, AdjustResult>;
  struct Nothing {};

  static std::vector<absl::StatusOr<Nothing>> WriteGate(StockGate& gate, const std::vector<GateWrite>& writes);
  async::Task<void> LoadGate(std::vector<std::string> skus);
  async::Task<void> Refused(std::vector<Returned> given_back, std::vector<std::string> short_skus);

  batch::WorkerBatcher<std::vector<ReserveCommand>, std::vector<TakeResult>> take_;
  batch::WorkerBatcher<GateWrite, Nothing> gate_;
  batch::WorkerBatcher<std::vector<ReserveCommand>, std::vector<ReserveResult>> reserve_;
  batch::WorkerBatcher<std::vector<std::string>, std::vector<Outcome>> confirm_;
  batch::WorkerBatcher<std::vector<ReleaseCommand>, std::vector<ReleaseResult>> release_;
  batch::WorkerBatcher<AdminCommand, AdminResult> admin_;
  batch::WorkerBatcher<std::vector<std::string>, std::map<std::string, Sku>> read_;
  std::mutex mutex_;
  std::set<std::string> suspects_;
};

}  // namespace flotilla::inventory
