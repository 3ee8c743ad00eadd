// SKUs and their stock other than through orders, for coroutines. Only on an executor's thread; resumes there.
// RESOURCE_EXHAUSTED where the queue is full.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/domain/movement.h"
#include "inventory/domain/sku.h"
#include "inventory/store/movement_store.h"
#include "inventory/store/sku_store.h"
#include "inventory/workflow/gate_writer.h"
#include "postgres/session.h"
#include "redis/client.h"

namespace flotilla::inventory {

class StockKeeping {
 public:
  // `gate` outlives it.
  StockKeeping(const postgres::Options& postgres, const redis::Options& redis, GateWriter& gate);

  // Each SKU once. Results by SKU.
  using PutResults = std::map<std::string, PutSkuResult>;
  async::Task<absl::StatusOr<PutResults>> Put(std::vector<PutSkuCommand> commands);
  async::Task<absl::StatusOr<AdjustResult>> Adjust(AdjustCommand command);
  async::Task<absl::StatusOr<std::vector<Movement>>> ListMovements(MovementQuery query);
  async::Task<absl::StatusOr<std::vector<Sku>>> List(SkuQuery query);
  // UNAVAILABLE without Redis.
  async::Task<absl::StatusOr<std::vector<Comparison>>> Compare(SkuQuery query);

 private:
  // On a worker's thread.
  struct Stores {
    Stores(const postgres::Options& postgres, const redis::Options& redis, StockGate::Memory& memory)
        : skus(postgres), movements(postgres), gate(redis, memory) {}
    SkuStore skus;
    MovementStore movements;
    StockGate gate;
    absl::StatusOr<std::vector<Comparison>> Compare(const SkuQuery& query);
  };
  using Job = std::function<void(Stores&)>;
  struct Done {};
  template <class Result>
  async::Task<absl::StatusOr<Result>> Run(std::function<absl::StatusOr<Result>(Stores&)> work);

  GateWriter& gate_;
  batch::WorkerBatcher<Job, Done> jobs_;
};

}  // namespace flotilla::inventory
