// What the order service says about orders whose charges are to be settled.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/order/v1/completion_service.grpc.pb.h"
#include "payment/domain/settlement_plan.h"
#include "rpc/client.h"

namespace flotilla::payment {

class OrderWords {
 public:
  explicit OrderWords(std::shared_ptr<rpc::ChannelPool> order) : order_(std::move(order)) {}

  // One word for each charge, of 1 to 1,000. The call runs on `loop`, which must be running; blocks this thread, which
  // must not be the loop's, for two seconds at most. An error where order is away: nothing is known then.
  absl::StatusOr<std::vector<OrderWord>> Ask(async::Executor& loop, std::span<const Unsettled> charges);

 private:
  rpc::Client<order::v1::CompletionService> order_;
};

// A completion, or why there is none, as far as settling goes.
OrderWord WordOf(const order::v1::BatchGetCompletionsResponse::Result& result);

}  // namespace flotilla::payment
