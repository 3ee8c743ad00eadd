#include "payment/api/reconciliation_api.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "errors/errors.h"
#include "payment/api/reconciliation_convert.h"
#include "payment/domain/statement_csv.h"
#include "telemetry/log.h"

namespace flotilla::payment {

ReconciliationApi::ReconciliationApi(rpc::Server& server, Reconciliation& reconciliation,
                                     const postgres::DatabaseClock& clock, absl::Duration margin,
                                     std::function<void()> wake)
    : reconciliation_(reconciliation), clock_(clock), margin_(margin), wake_(std::move(wake)) {
  using Service = v1::ReconciliationService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.ClientStreaming(service.get(), &Service::RequestImportStatement,
                         "flotilla.payment.v1.ReconciliationService/ImportStatement",
                         [this](rpc::Call& call, rpc::ServerReader<v1::ImportStatementRequest>& requests) {
                           return ImportStatement(call, requests);
                         });
  server.Unary(service.get(), &Service::RequestListStatements,
               "flotilla.payment.v1.ReconciliationService/ListStatements",
               [this](rpc::Call&, const v1::ListStatementsRequest& request) { return ListStatements(request); });
  server.Unary(service.get(), &Service::RequestWithdrawStatement,
               "flotilla.payment.v1.ReconciliationService/WithdrawStatement",
               [this](rpc::Call& call, const v1::WithdrawStatementRequest& request) {
                 return WithdrawStatement(call, request);
               });
  server.Unary(service.get(), &Service::RequestListDifferences,
               "flotilla.payment.v1.ReconciliationService/ListDifferences",
               [this](rpc::Call&, const v1::ListDifferencesRequest& request) { return ListDifferences(request); });
  server.Unary(service.get(), &Service::RequestResolveDifference,
               "flotilla.payment.v1.ReconciliationService/ResolveDifference",
               [this](rpc::Call& call, const v1::ResolveDifferenceRequest& request) {
                 return ResolveDifference(call.user_id, request);
               });
}

ReconciliationApi::Reply<v1::ImportStatementResponse> ReconciliationApi::ImportStatement(
    rpc::Call&, rpc::ServerReader<v1::ImportStatementRequest>& requests) {
  v1::ImportStatementRequest request;
  bool more = co_await requests.Read(&request);
  if (!more) co_return errors::InvalidField("header", "must be the first request's part");
  absl::StatusOr<ProviderStatement> statement = Parse(request, clock_.Now() - margin_);
  if (!statement.ok()) co_return statement.status();
  std::int64_t left = request.header().size_bytes();
  StatementReader reader;
  for (more = co_await requests.Read(&request); more; more = co_await requests.Read(&request)) {
    if (request.part_case() != v1::ImportStatementRequest::kChunk) {
      co_return errors::InvalidField("chunk", "must be the part of every request but the first");
    }
    left -= static_cast<std::int64_t>(request.chunk().size());
    if (const absl::Status status = reader.Add(request.chunk()); !status.ok()) co_return StatementError(status);
  }
  // gRPC tells a stream that broke off from one that ended, but only later.
  if (left != 0) {
    co_return errors::Make(absl::StatusCode::kInvalidArgument, "STATEMENT_INCOMPLETE",
                           "header.size_bytes: more or fewer bytes came", {{"field", "header.size_bytes"}});
  }
  if (const absl::Status status = reader.Finish(); !status.ok()) co_return StatementError(status);
  statement->lines = std::move(reader).lines();
  const absl::StatusOr<Imported> imported = co_await reconciliation_.Import(*std::move(statement));
  if (!imported.ok()) co_return imported.status();
  if (const absl::Status status = ToStatus(imported->outcome); !status.ok()) co_return status;
  if (imported->reconciled.told) wake_();
  v1::ImportStatementResponse response;
  response.set_rows(imported->reconciled.lines);
  response.set_matched(imported->reconciled.matched);
  response.set_open_differences(imported->reconciled.open);
  co_return response;
}

ReconciliationApi::Reply<v1::ListStatementsResponse> ReconciliationApi::ListStatements(
    const v1::ListStatementsRequest& request) {
  absl::StatusOr<ProviderStatementQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const std::size_t size = static_cast<std::size_t>(query->limit++);  // one more tells of a next page
  const absl::StatusOr<std::vector<StoredStatement>> statements =
      co_await reconciliation_.ListStatements(*std::move(query));
  if (!statements.ok()) co_return statements.status();
  v1::ListStatementsResponse response;
  for (std::size_t i = 0; i < std::min(size, statements->size()); ++i) {
    *response.add_statements() = ToProto((*statements)[i]);
  }
  if (statements->size() > size) response.set_next_page_token((*statements)[size - 1].statement_id);
  co_return response;
}

ReconciliationApi::Reply<v1::WithdrawStatementResponse> ReconciliationApi::WithdrawStatement(
    rpc::Call& call, const v1::WithdrawStatementRequest& request) {
  const absl::StatusOr<Withdrawal> withdrawal = Parse(request, call.user_id);
  if (!withdrawal.ok()) co_return withdrawal.status();
  const absl::StatusOr<WithdrawalOutcome> outcome = co_await reconciliation_.Withdraw(*withdrawal);
  if (!outcome.ok()) co_return outcome.status();
  if (const absl::Status status = ToStatus(*outcome); !status.ok()) co_return status;
  telemetry::Log(telemetry::Level::kWarning, "an operator withdrew a statement of the payment provider",
                 {{"statement_id", withdrawal->statement_id}, {"operator", withdrawal->operator_id}}, call.traceparent);
  co_return v1::WithdrawStatementResponse();
}

ReconciliationApi::Reply<v1::ListDifferencesResponse> ReconciliationApi::ListDifferences(
    const v1::ListDifferencesRequest& request) {
  absl::StatusOr<DifferenceQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const std::size_t size = static_cast<std::size_t>(query->limit++);  // one more tells of a next page
  const absl::StatusOr<std::vector<StoredDifference>> differences = co_await reconciliation_.List(*std::move(query));
  if (!differences.ok()) co_return differences.status();
  v1::ListDifferencesResponse response;
  for (std::size_t i = 0; i < std::min(size, differences->size()); ++i) {
    *response.add_differences() = ToProto((*differences)[i]);
  }
  if (differences->size() > size) {
    response.set_next_page_token(std::to_string((*differences)[size - 1].difference_id));
  }
  co_return response;
}

ReconciliationApi::Reply<v1::ResolveDifferenceResponse> ReconciliationApi::ResolveDifference(
    std::string operator_id, const v1::ResolveDifferenceRequest& request) {
  absl::StatusOr<Resolution> resolution = Parse(request, operator_id);
  if (!resolution.ok()) co_return resolution.status();
  const absl::StatusOr<Resolved> resolved = co_await reconciliation_.Resolve(*std::move(resolution));
  if (!resolved.ok()) co_return resolved.status();
  if (const absl::Status status = ToStatus(resolved->outcome); !status.ok()) co_return status;
  v1::ResolveDifferenceResponse response;
  *response.mutable_difference() = ToProto(resolved->difference);
  co_return response;
}

}  // namespace flotilla::payment
