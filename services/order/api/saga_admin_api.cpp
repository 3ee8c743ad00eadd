#include "order/api/saga_admin_api.h"

#include <memory>
#include <type_traits>
#include <utility>

#include "errors/errors.h"
#include "order/api/saga_admin_parse.h"
#include "order/workflow/saga_resolve.h"
#include "telemetry/log.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

constexpr std::size_t kMaxNoteBytes = 1000;

// An act whose commit was lost may have been done: GetSaga tells.
absl::Status Answer(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnknown && status.code() != absl::StatusCode::kAborted) return status;
  return errors::Make(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN", "the outcome is not known; look at the saga");
}

// One row more than the page tells whether there is another one.
template <class Items, class Add>
std::string AddPage(const Items& items, int page, Add add) {
  const std::size_t count = std::min(items.size(), static_cast<std::size_t>(page));
  for (std::size_t i = 0; i < count; ++i) *add() = ToProto(items[i]);
  return items.size() > count ? PageToken(items[count - 1]) : "";
}

}  // namespace

SagaAdminApi::SagaAdminApi(rpc::Server& server, const postgres::Options& postgres) : admin_(postgres, EndOrder) {
  using Service = v1::SagaAdminService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestListSagas, "flotilla.order.v1.SagaAdminService/ListSagas", &SagaAdminApi::ListSagas);
  add(&Service::RequestGetSaga, "flotilla.order.v1.SagaAdminService/GetSaga", &SagaAdminApi::GetSaga);
  add(&Service::RequestRetrySaga, "flotilla.order.v1.SagaAdminService/RetrySaga", &SagaAdminApi::RetrySaga);
  add(&Service::RequestRetrySagas, "flotilla.order.v1.SagaAdminService/RetrySagas", &SagaAdminApi::RetrySagas);
  add(&Service::RequestCompensateSaga, "flotilla.order.v1.SagaAdminService/CompensateSaga",
      &SagaAdminApi::CompensateSaga);
  add(&Service::RequestResolveSaga, "flotilla.order.v1.SagaAdminService/ResolveSaga", &SagaAdminApi::ResolveSaga);
  add(&Service::RequestListOperatorActs, "flotilla.order.v1.SagaAdminService/ListOperatorActs",
      &SagaAdminApi::ListOperatorActs);
}

SagaAdminApi::Reply<v1::ListSagasResponse> SagaAdminApi::ListSagas(rpc::Call& call,
                                                                   const v1::ListSagasRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  absl::StatusOr<saga::SagaQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const int page = query->limit++;
  const absl::StatusOr<std::vector<saga::SagaView>> sagas = co_await admin_.List(*std::move(query));
  if (!sagas.ok()) co_return sagas.status();
  v1::ListSagasResponse response;
  response.set_next_page_token(AddPage(*sagas, page, [&] { return response.add_sagas(); }));
  co_return response;
}

SagaAdminApi::Reply<v1::GetSagaResponse> SagaAdminApi::GetSaga(rpc::Call& call, const v1::GetSagaRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  absl::StatusOr<saga::SagaKey> key = ParseSagaKey(request.type(), request.id());
  if (!key.ok()) co_return key.status();
  const absl::StatusOr<saga::SagaDetail> detail = co_await admin_.Get(*std::move(key));
  if (!detail.ok()) co_return detail.status();
  v1::GetSagaResponse response;
  *response.mutable_saga() = ToProto(detail->saga);
  for (const auto& entry : detail->history) *response.add_history() = ToProto(entry);
  for (const auto& act : detail->acts) *response.add_acts() = ToProto(act);
  co_return response;
}

template <class Request>
async::Task<absl::Status> SagaAdminApi::Do(saga::Act act, rpc::Call& call, const Request& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<saga::SagaKey> key = ParseSagaKey(request.type(), request.id());
  if (!key.ok()) co_return key.status();
  const bool by_hand = act == saga::Act::kResolve;
  if (auto status = validation::CheckNote(request.note(), kMaxNoteBytes, by_hand); !status.ok()) co_return status;
  int end = 0;
  if constexpr (std::is_same_v<Request, v1::ResolveSagaRequest>) {
    if (auto status = CheckEnd(request.order_state()); !status.ok()) co_return status;
    end = request.order_state();
  }
  const absl::Status done = co_await admin_.Do(act, *key, call.user_id, request.note(), end);
  if (done.ok()) {
    telemetry::Log(telemetry::Level::kWarning, "operator's act on a saga",
                   {{"act", std::string(call.method)}, {"type", key->type}, {"id", key->id}}, call.traceparent);
  }
  co_return Answer(done);
}

SagaAdminApi::Reply<v1::RetrySagaResponse> SagaAdminApi::RetrySaga(rpc::Call& call,
                                                                   const v1::RetrySagaRequest& request) {
  const absl::Status done = co_await Do(saga::Act::kRetry, call, request);
  if (!done.ok()) co_return done;
  co_return v1::RetrySagaResponse();
}

SagaAdminApi::Reply<v1::RetrySagasResponse> SagaAdminApi::RetrySagas(rpc::Call& call,
                                                                     const v1::RetrySagasRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  absl::StatusOr<saga::RetryQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  if (auto status = validation::CheckNote(request.note(), kMaxNoteBytes); !status.ok()) co_return status;
  const absl::StatusOr<int> retried = co_await admin_.RetryAll(*std::move(query), call.user_id, request.note());
  if (!retried.ok()) co_return Answer(retried.status());
  telemetry::Log(telemetry::Level::kWarning, "operator's act on sagas",
                 {{"act", std::string(call.method)}, {"count", std::to_string(*retried)}}, call.traceparent);
  v1::RetrySagasResponse response;
  response.set_retried(*retried);
  co_return response;
}

SagaAdminApi::Reply<v1::CompensateSagaResponse> SagaAdminApi::CompensateSaga(rpc::Call& call,
                                                                             const v1::CompensateSagaRequest& request) {
  const absl::Status done = co_await Do(saga::Act::kCompensate, call, request);
  if (!done.ok()) co_return done;
  co_return v1::CompensateSagaResponse();
}

SagaAdminApi::Reply<v1::ResolveSagaResponse> SagaAdminApi::ResolveSaga(rpc::Call& call,
                                                                       const v1::ResolveSagaRequest& request) {
  const absl::Status done = co_await Do(saga::Act::kResolve, call, request);
  if (!done.ok()) co_return done;
  co_return v1::ResolveSagaResponse();
}

SagaAdminApi::Reply<v1::ListOperatorActsResponse> SagaAdminApi::ListOperatorActs(
    rpc::Call& call, const v1::ListOperatorActsRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  absl::StatusOr<saga::ActQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const int page = query->limit++;
  const absl::StatusOr<std::vector<saga::OperatorAct>> acts = co_await admin_.Acts(*std::move(query));
  if (!acts.ok()) co_return acts.status();
  v1::ListOperatorActsResponse response;
  response.set_next_page_token(AddPage(*acts, page, [&] { return response.add_acts(); }));
  co_return response;
}

}  // namespace flotilla::order
