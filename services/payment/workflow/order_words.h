// What the order service says about orders whose charges are to be settled, or to be compared with them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "flotilla/order/v1/completion_service.grpc.pb.h"
#include "payment/domain/order_match.h"
#include "payment/domain/settlement_plan.h"
#include "rpc/client.h"

namespace flotilla::payment {

struct EndedOrder {
  std::string order_id;
  std::string user_id;
};
struct EndedOrders {
  std::vector<EndedOrder> orders;
  std::string next_token;  // the one asked with where there is nothing new
};

// Its calls run on `loop`, which must be running, and block this thread, which must not be the loop's, for two seconds
// at most. An error where order is away: nothing is known then.
class OrderWords {
 public:
  explicit OrderWords(std::shared_ptr<rpc::ChannelPool> order) : order_(std::move(order)) {}

  // One word for each charge, or order, of 1 to 1,000.
  absl::StatusOr<std::vector<OrderWord>> Ask(async::Executor& loop, std::span<const Unsettled> charges);
  absl::StatusOr<std::vector<OrderWord>> Ask(async::Executor& loop, std::span<const OrderLook> orders);
  // Those that ended at least `min_age` ago, behind the token, of so many changes at most.
  absl::StatusOr<EndedOrders> List(async::Executor& loop, const std::string& token, absl::Duration min_age, int limit);

 private:
  rpc::Client<order::v1::CompletionService> order_;
};

// A completion, or why there is none, as far as money goes.
OrderWord WordOf(const order::v1::BatchGetCompletionsResponse::Result& result);

}  // namespace flotilla::payment
