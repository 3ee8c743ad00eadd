// CompletionStore and OutcomeStore for coroutines, on workers of their own: payment's questions hold up no user's. Only
// on an executor's thread; resumes there. Errors as in the stores, and RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "order/store/completion_store.h"
#include "order/store/outcome_store.h"

namespace flotilla::order {

class Completions {
 public:
  explicit Completions(const postgres::Options& postgres);

  // In the order of the keys.
  async::Task<absl::StatusOr<std::vector<std::optional<Completion>>>> Read(std::vector<OrderKey> keys) {
    return read_.Call(std::move(keys));
  }
  async::Task<absl::StatusOr<OutcomePage>> ListOutcomes(OutcomeQuery query) { return list_.Call(query); }

 private:
  batch::WorkerBatcher<std::vector<OrderKey>, std::vector<std::optional<Completion>>> read_;
  batch::WorkerBatcher<OutcomeQuery, OutcomePage> list_;
};

}  // namespace flotilla::order
