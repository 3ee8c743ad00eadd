#include "payment/workflow/order_words.h"

#include <utility>

#include "async/thread_executor.h"
#include "timestamp/timestamp.h"

namespace flotilla::payment {
namespace {

using order::v1::CompletionService;

// Whoever asks comes again, so he need not wait for an instance to be there.
rpc::CallOptions Options() { return {.timeout = absl::Seconds(2), .wait_for_ready = false}; }

Standing StandingOf(order::v1::OrderState state) {
  switch (state) {
    case order::v1::ORDER_STATE_PAID:
    case order::v1::ORDER_STATE_PARTIALLY_REFUNDED:
      return Standing::kComplete;
    case order::v1::ORDER_STATE_CANCELLED:
    case order::v1::ORDER_STATE_REFUNDED:
      return Standing::kEnded;
    default:
      return Standing::kUnderWay;
  }
}

OrderWord FromProto(const order::v1::Completion& completion) {
  OrderWord word{.standing = StandingOf(completion.state()),
                 .total = {completion.total().currency_code(), completion.total().minor_units()},
                 .refunded = completion.refunded().minor_units()};
  if (completion.has_complete_time()) word.completed_at = timestamp::FromProto(completion.complete_time());
  return word;
}

// Of things that have an order and a user.
template <class Items>
absl::StatusOr<std::vector<OrderWord>> AskAbout(rpc::Client<CompletionService>& order, async::Executor& loop,
                                                const Items& items) {
  order::v1::BatchGetCompletionsRequest request;
  for (const auto& item : items) {
    auto* out = request.add_requests();
    out->set_user_id(item.user_id);
    out->set_order_id(item.order_id);
  }
  const absl::StatusOr<order::v1::BatchGetCompletionsResponse> response = async::BlockOn(
      loop, order.Call(&CompletionService::Stub::PrepareAsyncBatchGetCompletions, std::move(request), Options()));
  if (!response.ok()) return response.status();
  if (static_cast<std::size_t>(response->results_size()) != items.size()) {
    return absl::InternalError("order answered another number of orders than it was asked about");
  }
  std::vector<OrderWord> words;
  words.reserve(items.size());
  for (const auto& result : response->results()) words.push_back(payment::WordOf(result));
  return words;
}

}  // namespace

OrderWord WordOf(const order::v1::BatchGetCompletionsResponse::Result& result) {
  if (!result.has_completion()) return {Standing::kUnknown};
  return FromProto(result.completion());
}

absl::StatusOr<std::vector<OrderWord>> OrderWords::Ask(async::Executor& loop, std::span<const Unsettled> charges) {
  return AskAbout(order_, loop, charges);
}

absl::StatusOr<std::vector<OrderWord>> OrderWords::Ask(async::Executor& loop, std::span<const OrderLook> orders) {
  absl::StatusOr<std::vector<OrderWord>> words = AskAbout(order_, loop, orders);
  if (!words.ok()) return words;
  for (const OrderWord& word : *words) {
    if (word.standing != Standing::kUnknown && word.total.currency.empty()) {
      return absl::UnavailableError("an instance of order from before it told totals has answered");
    }
  }
  return words;
}

absl::StatusOr<EndedOrders> OrderWords::List(async::Executor& loop, const std::string& token, absl::Duration min_age,
                                             int limit) {
  order::v1::ListOutcomesRequest request;
  *request.mutable_min_age() = timestamp::ToProto(min_age);
  request.set_page_size(limit);
  request.set_page_token(token);
  const absl::StatusOr<order::v1::ListOutcomesResponse> response = async::BlockOn(
      loop, order_.Call(&CompletionService::Stub::PrepareAsyncListOutcomes, std::move(request), Options()));
  if (!response.ok()) return response.status();
  EndedOrders ended{.orders = {}, .next_token = response->next_page_token()};
  for (const auto& outcome : response->outcomes()) {
    ended.orders.push_back({outcome.order_id(), outcome.user_id()});
  }
  return ended;
}

}  // namespace flotilla::payment
