// The journal for coroutines. Only on an executor's thread; resumes there. Errors as in journal_store.h, and
// RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "payment/store/journal_store.h"

namespace flotilla::payment {

class Journal {
 public:
  explicit Journal(const postgres::Options& options);

  async::Task<absl::StatusOr<std::vector<JournalEntry>>> Transfers(TransferQuery query);
  async::Task<absl::StatusOr<std::optional<Statement>>> ReadStatement(StatementQuery query);
  async::Task<absl::StatusOr<std::vector<TrialLine>>> TrialBalance();
  async::Task<absl::StatusOr<Verification>> Verify(std::int64_t after, Anchor anchor);

 private:
  struct TrialQuery {};
  struct VerifyQuery {
    std::int64_t after;
    Anchor anchor;
  };
  template <class Query, class Answer>
  using Batcher = batch::WorkerBatcher<Query, Answer>;

  Batcher<TransferQuery, std::vector<JournalEntry>> transfers_;
  Batcher<StatementQuery, std::optional<Statement>> statements_;
  Batcher<TrialQuery, std::vector<TrialLine>> trial_balances_;
  Batcher<VerifyQuery, Verification> verifications_;  // a worker of its own: it takes long
};

}  // namespace flotilla::payment
