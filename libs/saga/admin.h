// The operators' side of sagas for coroutines: AdminStore on a thread of its own. Any instance of a service may serve
// it: what it does to a saga, the instance that claims the saga next carries out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "saga/admin_store.h"

namespace flotilla::saga {

class Admin {
 public:
  explicit Admin(const postgres::Options& postgres, const Conclude& conclude = {});

  // As in AdminStore, and RESOURCE_EXHAUSTED where too many wait. Only on an executor's thread; resumes there.
  async::Task<absl::StatusOr<std::vector<SagaView>>> List(SagaQuery query);
  async::Task<absl::StatusOr<SagaDetail>> Get(SagaKey key);
  async::Task<absl::StatusOr<std::vector<OperatorAct>>> Acts(ActQuery query);
  async::Task<absl::StatusOr<int>> RetryAll(RetryQuery query, std::string operator_id, std::string note);
  async::Task<absl::Status> Do(Act act, SagaKey key, std::string operator_id, std::string note, int end = 0);

 private:
  using Job = std::function<absl::Status(AdminStore&)>;
  batch::WorkerBatcher<Job, bool> jobs_;
};

}  // namespace flotilla::saga
