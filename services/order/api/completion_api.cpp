#include "order/api/completion_api.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "errors/errors.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "order/api/parse.h"
#include "order/workflow/order_flow.h"
#include "rpc/batch_items.h"
#include "timestamp/timestamp.h"

namespace flotilla::order {
namespace {

using Result = v1::BatchGetCompletionsResponse::Result;

constexpr auto kParse = [](const auto& request, int index) { return Parse(request, index); };

void Set(flotilla::type::v1::Money* proto, const std::string& currency, std::int64_t minor_units) {
  proto->set_currency_code(currency);
  proto->set_minor_units(minor_units);
}

void Fill(const std::optional<Completion>& completion, Result& result) {
  if (!completion.has_value()) {
    *result.mutable_error() = errors::ToProto(UnknownOrder());
    return;
  }
  v1::Completion& proto = *result.mutable_completion();
  proto.set_state(static_cast<v1::OrderState>(completion->state));
  if (Complete(completion->state)) *proto.mutable_complete_time() = timestamp::ToProto(completion->completed_at);
  Set(proto.mutable_total(), completion->currency, completion->total);
  Set(proto.mutable_refunded(), completion->currency, completion->refunded);
}

}  // namespace

CompletionApi::CompletionApi(rpc::Server& server, Completions& completions) : completions_(completions) {
  using Service = v1::CompletionService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.Unary(
      service.get(), &Service::RequestBatchGetCompletions, "flotilla.order.v1.CompletionService/BatchGetCompletions",
      [this](rpc::Call&, const v1::BatchGetCompletionsRequest& request) { return BatchGetCompletions(request); });
  server.Unary(service.get(), &Service::RequestListOutcomes, "flotilla.order.v1.CompletionService/ListOutcomes",
               [this](rpc::Call&, const v1::ListOutcomesRequest& request) { return ListOutcomes(request); });
}

async::Task<absl::StatusOr<v1::BatchGetCompletionsResponse>> CompletionApi::BatchGetCompletions(
    const v1::BatchGetCompletionsRequest& request) {
  if (absl::Status status = rpc::CheckBatch(request.requests_size()); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<OrderKey>(request.requests(), kParse);
  absl::StatusOr<std::vector<std::optional<Completion>>> completions = std::vector<std::optional<Completion>>();
  if (!batch.commands.empty()) completions = co_await completions_.Read(std::move(batch.commands));
  if (!completions.ok()) co_return completions.status();
  co_return rpc::Assemble<v1::BatchGetCompletionsResponse>(batch.errors, *completions, Fill);
}

async::Task<absl::StatusOr<v1::ListOutcomesResponse>> CompletionApi::ListOutcomes(
    const v1::ListOutcomesRequest& request) {
  const absl::StatusOr<OutcomeQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const absl::StatusOr<OutcomePage> page = co_await completions_.ListOutcomes(*query);
  if (!page.ok()) co_return page.status();
  v1::ListOutcomesResponse response;
  for (const std::string& data : page->events) {
    v1::OrderEvent event;
    if (!event.ParseFromString(data)) co_return absl::InternalError("an event is none of an order");
    auto& outcome = *response.add_outcomes();
    outcome.set_user_id(event.order().user_id());
    outcome.set_order_id(event.order().order_id());
  }
  response.set_next_page_token(PageToken(page->next));
  co_return response;
}

}  // namespace flotilla::order
