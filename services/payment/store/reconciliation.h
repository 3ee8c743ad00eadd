// Reconciliation for coroutines. Only on an executor's thread; resumes there. Errors as in the stores, and
// RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "payment/store/reconciliation_store.h"
#include "payment/store/statement_store.h"

namespace flotilla::payment {

struct Imported {
  ImportOutcome outcome = ImportOutcome::kStored;
  Reconciled reconciled = {};  // of kStored
};

class Reconciliation {
 public:
  explicit Reconciliation(const postgres::Options& options);

  // Stores the statement and compares it. Where only the first was done, the schedule does the second.
  async::Task<absl::StatusOr<Imported>> Import(ProviderStatement statement);
  async::Task<absl::StatusOr<std::vector<StoredStatement>>> ListStatements(ProviderStatementQuery query);
  async::Task<absl::StatusOr<WithdrawalOutcome>> Withdraw(Withdrawal withdrawal);
  async::Task<absl::StatusOr<std::vector<StoredDifference>>> List(DifferenceQuery query);
  async::Task<absl::StatusOr<Resolved>> Resolve(Resolution resolution);

 private:
  batch::WorkerBatcher<ProviderStatement, Imported> imports_;  // a worker of its own: it takes long
  batch::WorkerBatcher<ProviderStatementQuery, std::vector<StoredStatement>> statements_;
  batch::WorkerBatcher<Withdrawal, WithdrawalOutcome> withdrawals_;
  batch::WorkerBatcher<DifferenceQuery, std::vector<StoredDifference>> lists_;
  batch::WorkerBatcher<Resolution, Resolved> resolutions_;
};

}  // namespace flotilla::payment
