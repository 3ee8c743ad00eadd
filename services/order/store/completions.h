// CompletionStore for coroutines, on a worker of its own: a settlement's questions hold up no user's. Only on an
// executor's thread; resumes there. Errors as in completion_store.h, and RESOURCE_EXHAUSTED where the queue is full.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "order/store/completion_store.h"

namespace flotilla::order {

class Completions {
 public:
  explicit Completions(const postgres::Options& postgres);

  // In the order of the keys.
  async::Task<absl::StatusOr<std::vector<std::optional<Completion>>>> Read(std::vector<OrderKey> keys) {
    return read_.Call(std::move(keys));
  }

 private:
  batch::WorkerBatcher<std::vector<OrderKey>, std::vector<std::optional<Completion>>> read_;
};

}  // namespace flotilla::order
