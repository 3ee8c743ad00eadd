// Reads SKUs from SQL for coroutines; what is asked for at the same time is one statement. Only on an executor's
// thread; resumes there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/domain/sku.h"
#include "postgres/session.h"

namespace flotilla::inventory {

class SkuReader {
 public:
  // Shared by all whose requests went together, so it may hold more than was asked for. SKUs that do not exist are
  // not in it.
  using Skus = std::shared_ptr<const std::map<std::string, Sku>>;

  explicit SkuReader(const postgres::Options& postgres);
  async::Task<absl::StatusOr<Skus>> Read(std::vector<std::string> skus);

 private:
  batch::WorkerBatcher<std::vector<std::string>, Skus> batcher_;
};

}  // namespace flotilla::inventory
