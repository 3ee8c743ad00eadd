// Reservations for coroutines: the gate first, then SQL; requests gather while a round trip is in flight and go
// together in the next one. Only on an executor's thread; resumes there. RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/catalog/catalog.h"
#include "inventory/domain/hold.h"
#include "inventory/gate/stock_gate.h"
#include "inventory/store/hold_store.h"
#include "inventory/workflow/gate_writer.h"
#include "postgres/session.h"
#include "redis/client.h"

namespace flotilla::inventory {

class Inventory {
 public:
  // The references outlive it.
  Inventory(const postgres::Options& postgres, const redis::Options& redis, Catalog& catalog, GateWriter& gate);

  // Results in the order of the arguments, each for itself. Without Redis SQL decides alone.
  using ReserveResults = std::vector<absl::StatusOr<ReserveResult>>;
  async::Task<ReserveResults> Reserve(std::vector<ReserveCommand> commands);
  async::Task<absl::StatusOr<std::vector<Outcome>>> Confirm(std::vector<std::string> order_ids);
  async::Task<absl::StatusOr<std::vector<Outcome>>> Release(std::vector<ReleaseCommand> commands);
  async::Task<absl::StatusOr<ExtendResult>> Extend(ExtendCommand command);

 private:
  // What is known of a batch of Reserves on its way: who is not answered yet, and what the gate gave in this call.
  struct Progress {
    ReserveResults results;
    std::vector<std::size_t> open;                // indexes: the gate is still to be asked
    std::vector<std::size_t> passed;              // indexes: SQL decides
    std::vector<std::vector<std::string>> taken;  // SKUs, by index
    std::set<std::size_t> unsure;                 // of `passed`: the gate would have refused
  };
  async::Task<void> RefuseUnknown(const std::vector<ReserveCommand>& commands, Progress& progress);
  // Not OK: the queue is full.
  async::Task<absl::Status> PassGate(const std::vector<ReserveCommand>& commands, Progress& progress);
  async::Task<void> Decide(const std::vector<ReserveCommand>& commands, Progress& progress);
  // What SQL's answers have shown the gate to be wrong about.
  struct Drift {
    std::vector<Returned> give_back;  // of orders that SQL refused
    std::vector<Returned> surplus;    // taken again by orders that hold their units already
    std::vector<std::string> doubtful;
    std::vector<std::string> short_skus;
    std::vector<StockGate::Purchase> purchases;
  };
  async::Task<void> Correct(Drift drift);

  Catalog& catalog_;
  GateWriter& gate_;
  batch::WorkerBatcher<std::vector<ReserveCommand>, std::vector<TakeResult>> take_;
  batch::WorkerBatcher<std::vector<ReserveCommand>, std::vector<ReserveResult>> reserve_;
  batch::WorkerBatcher<std::vector<std::string>, std::vector<Outcome>> confirm_;
  batch::WorkerBatcher<std::vector<ReleaseCommand>, std::vector<ReleaseResult>> release_;
  batch::WorkerBatcher<std::vector<ExtendCommand>, std::vector<ExtendResult>> extend_;
};

}  // namespace flotilla::inventory
