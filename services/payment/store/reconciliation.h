// Reconciliation for coroutines. Only on an executor's thread; resumes there. Errors as in reconciliation_store.h, and
// RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "payment/store/reconciliation_store.h"

namespace flotilla::payment {

class Reconciliation {
 public:
  explicit Reconciliation(const postgres::Options& options);

  // Stores the statement and compares it. Where only the first was done, the schedule does the second.
  async::Task<absl::StatusOr<Reconciled>> Import(ProviderStatement statement);
  async::Task<absl::StatusOr<std::vector<StoredDifference>>> List(DifferenceQuery query);
  async::Task<absl::StatusOr<StoredDifference>> Resolve(Resolution resolution);

 private:
  batch::WorkerBatcher<ProviderStatement, Reconciled> imports_;  // a worker of its own: it takes long
  batch::WorkerBatcher<DifferenceQuery, std::vector<StoredDifference>> lists_;
  batch::WorkerBatcher<Resolution, StoredDifference> resolutions_;
};

}  // namespace flotilla::payment
