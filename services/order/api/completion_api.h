// The handler of flotilla.order.v1.CompletionService.
#pragma once

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/order/v1/completion_service.grpc.pb.h"
#include "order/store/completions.h"
#include "rpc/server.h"

namespace flotilla::order {

class CompletionApi {
 public:
  // Registers with `server`, whose calls this object and `completions` must outlive.
  CompletionApi(rpc::Server& server, Completions& completions);

 private:
  async::Task<absl::StatusOr<v1::BatchGetCompletionsResponse>> BatchGetCompletions(
      const v1::BatchGetCompletionsRequest& request);
  async::Task<absl::StatusOr<v1::ListOutcomesResponse>> ListOutcomes(const v1::ListOutcomesRequest& request);

  Completions& completions_;
};

}  // namespace flotilla::order
