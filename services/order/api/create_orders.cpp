#include <algorithm>
#include <utility>
#include <vector>

#include "errors/errors.h"
#include "order/api/order_api.h"
#include "order/api/parse.h"
#include "order/codec/codec.h"
#include "rpc/batch_items.h"

namespace flotilla::order {
namespace {

// Orders of batches that an instance has under way. Admission counts a batch as one call, so they have a bound of their
// own, which no queue behind it (16,384) is filled by.
constexpr int kMaxGathered = 4000;

// One slow order keeps the answers of all others, so a batch waits less for it than a call of its own does; and it
// takes a while to gather what stands where at the end.
constexpr absl::Duration kLongestBatch = absl::Seconds(2);
constexpr absl::Duration kBatchMargin = absl::Microseconds(500);  // an order

bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return true;
    default:
      return false;
  }
}

}  // namespace

async::Task<absl::StatusOr<Order>> OrderApi::Create(const rpc::Call& call, Order draft, absl::Time answer_by) {
  absl::StatusOr<Order> order = co_await flow_.Create(std::move(draft), answer_by, call.traceparent);
  if (order.ok()) {
    (order->state == State::kPaid              ? paid_
     : order->state == State::kCancelled       ? cancelled_
     : order->state == State::kAwaitingPayment ? awaiting_
                                               : unsettled_)
        .Increment();
  } else {
    (IsRefusal(order.status()) ? refused_ : failed_).Increment();
  }
  co_return order;
}

OrderApi::Reply<v1::CreateOrderResponse> OrderApi::CreateOrder(rpc::Call& call, const v1::CreateOrderRequest& request) {
  absl::StatusOr<Order> draft = Parse(call.user_id, request);
  if (!draft.ok()) co_return draft.status();
  const absl::StatusOr<Order> order = co_await Create(call, *std::move(draft), AnswerBy(call));
  if (!order.ok()) co_return order.status();
  v1::CreateOrderResponse response;
  *response.mutable_order() = ToProto(*order);
  co_return response;
}

OrderApi::Reply<v1::BatchCreateOrdersResponse> OrderApi::BatchCreateOrders(
    rpc::Call& call, const v1::BatchCreateOrdersRequest& request) {
  if (auto status = CheckBatch(request); !status.ok()) co_return status;
  const int size = request.requests_size();
  if (gathered_.fetch_add(size) + size > kMaxGathered) {
    gathered_.fetch_sub(size);
    co_return errors::Busy("too many orders of batches are under way");
  }
  auto batch = rpc::ParseItems<Order>(request.requests(), [](const auto& item, int i) { return Parse(item, i); });
  const absl::Time answer_by = std::min(call.start + kLongestBatch, AnswerBy(call) - size * kBatchMargin);
  std::vector<async::Task<absl::StatusOr<Order>>> creations;
  creations.reserve(batch.commands.size());
  for (Order& draft : batch.commands) creations.push_back(Create(call, std::move(draft), answer_by));
  const std::vector<absl::StatusOr<Order>> orders = co_await async::WhenAll(std::move(creations));
  gathered_.fetch_sub(size);
  co_return rpc::Assemble<v1::BatchCreateOrdersResponse>(
      batch.errors, orders, [](const absl::StatusOr<Order>& order, v1::BatchCreateOrdersResponse::Result& result) {
        if (order.ok()) {
          *result.mutable_order() = ToProto(*order);
        } else {
          *result.mutable_error() = rpc::ItemError(order.status());
        }
      });
}

}  // namespace flotilla::order
