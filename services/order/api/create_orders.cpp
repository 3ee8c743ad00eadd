#include <algorithm>
#include <utility>
#include <vector>

#include "order/api/order_api.h"
#include "order/api/parse.h"
#include "order/codec/codec.h"
#include "rpc/batch_items.h"

namespace flotilla::order {
namespace {

// A slow order is answered with the state reached so far, before the client gives up.
constexpr absl::Duration kLongestAnswer = absl::Seconds(5);
constexpr absl::Duration kReplyMargin = absl::Milliseconds(50);

}  // namespace

absl::Time OrderApi::AnswerBy(const rpc::Call& call) {
  return std::min(call.deadline - kReplyMargin, call.start + kLongestAnswer);
}

async::Task<absl::StatusOr<Order>> OrderApi::Create(const rpc::Call& call, Order draft) {
  absl::StatusOr<Order> order = co_await flow_.Create(std::move(draft), AnswerBy(call), call.traceparent);
  (!order.ok()                               ? refused_
   : order->state == State::kPaid            ? paid_
   : order->state == State::kCancelled       ? cancelled_
   : order->state == State::kAwaitingPayment ? awaiting_
                                             : unsettled_)
      .Increment();
  co_return order;
}

OrderApi::Reply<v1::CreateOrderResponse> OrderApi::CreateOrder(rpc::Call& call, const v1::CreateOrderRequest& request) {
  absl::StatusOr<Order> draft = Parse(call.user_id, request);
  if (!draft.ok()) co_return draft.status();
  const absl::StatusOr<Order> order = co_await Create(call, *std::move(draft));
  if (!order.ok()) co_return order.status();
  v1::CreateOrderResponse response;
  *response.mutable_order() = ToProto(*order);
  co_return response;
}

OrderApi::Reply<v1::BatchCreateOrdersResponse> OrderApi::BatchCreateOrders(
    rpc::Call& call, const v1::BatchCreateOrdersRequest& request) {
  if (auto status = CheckBatch(request); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<Order>(request.requests(), [](const auto& item, int i) { return Parse(item, i); });
  std::vector<async::Task<absl::StatusOr<Order>>> creations;
  creations.reserve(batch.commands.size());
  for (Order& draft : batch.commands) creations.push_back(Create(call, std::move(draft)));
  const std::vector<absl::StatusOr<Order>> orders = co_await async::WhenAll(std::move(creations));
  co_return rpc::Assemble<v1::BatchCreateOrdersResponse>(
      batch.errors, orders, [](const absl::StatusOr<Order>& order, v1::BatchCreateOrdersResponse::Result& result) {
        if (order.ok()) {
          *result.mutable_order() = ToProto(*order);
        } else {
          *result.mutable_error() = errors::ToProto(order.status());
        }
      });
}

}  // namespace flotilla::order
