#include "payment/workflow/order_words.h"

#include <utility>

#include "async/thread_executor.h"
#include "timestamp/timestamp.h"

namespace flotilla::payment {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(2);

}  // namespace

OrderWord WordOf(const order::v1::BatchGetCompletionsResponse::Result& result) {
  if (!result.has_completion()) return {Standing::kUnknown};
  const order::v1::Completion& completion = result.completion();
  if (completion.has_complete_time()) return {Standing::kComplete, timestamp::FromProto(completion.complete_time())};
  const bool ended =
      completion.state() == order::v1::ORDER_STATE_CANCELLED || completion.state() == order::v1::ORDER_STATE_REFUNDED;
  return {ended ? Standing::kEnded : Standing::kUnderWay};
}

absl::StatusOr<std::vector<OrderWord>> OrderWords::Ask(async::Executor& loop, std::span<const Unsettled> charges) {
  order::v1::BatchGetCompletionsRequest request;
  for (const Unsettled& charge : charges) {
    auto* item = request.add_requests();
    item->set_user_id(charge.user_id);
    item->set_order_id(charge.order_id);
  }
  // Whoever asks comes again, so he need not wait for an instance to be there.
  const rpc::CallOptions options{.timeout = kCallTimeout, .wait_for_ready = false};
  const absl::StatusOr<order::v1::BatchGetCompletionsResponse> response = async::BlockOn(
      loop,
      order_.Call(&order::v1::CompletionService::Stub::PrepareAsyncBatchGetCompletions, std::move(request), options));
  if (!response.ok()) return response.status();
  if (static_cast<std::size_t>(response->results_size()) != charges.size()) {
    return absl::InternalError("order answered another number of orders than it was asked about");
  }
  std::vector<OrderWord> words;
  words.reserve(charges.size());
  for (const auto& result : response->results()) words.push_back(WordOf(result));
  return words;
}

}  // namespace flotilla::payment
