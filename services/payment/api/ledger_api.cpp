#include "payment/api/ledger_api.h"

#include <memory>
#include <string>
#include <utility>

#include "errors/errors.h"
#include "payment/api/convert.h"
#include "payment/api/ledger_convert.h"

namespace flotilla::payment {
namespace {

// Fills a page from entries that were read with one more than its size: whether there is one tells of a next page.
template <class Repeated>
std::string FillPage(const std::vector<JournalEntry>& entries, int size, Repeated* page) {
  const std::size_t count = std::min(entries.size(), static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < count; ++i) *page->Add() = ToProto(entries[i]);
  return entries.size() > count ? std::to_string(entries[count - 1].transfer_id) : "";
}

}  // namespace

LedgerApi::LedgerApi(rpc::Server& server, Journal& journal) : journal_(journal) {
  using Service = v1::LedgerService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call&, const auto& request) { return (this->*handler)(request); });
  };
  add(&Service::RequestListTransfers, "flotilla.payment.v1.LedgerService/ListTransfers", &LedgerApi::ListTransfers);
  add(&Service::RequestGetStatement, "flotilla.payment.v1.LedgerService/GetStatement", &LedgerApi::GetStatement);
  add(&Service::RequestGetTrialBalance, "flotilla.payment.v1.LedgerService/GetTrialBalance",
      &LedgerApi::GetTrialBalance);
  add(&Service::RequestVerifyJournal, "flotilla.payment.v1.LedgerService/VerifyJournal", &LedgerApi::VerifyJournal);
}

LedgerApi::Reply<v1::ListTransfersResponse> LedgerApi::ListTransfers(const v1::ListTransfersRequest& request) {
  absl::StatusOr<TransferQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const int size = query->limit++;
  const absl::StatusOr<std::vector<JournalEntry>> entries = co_await journal_.Transfers(*std::move(query));
  if (!entries.ok()) co_return entries.status();
  v1::ListTransfersResponse response;
  response.set_next_page_token(FillPage(*entries, size, response.mutable_transfers()));
  co_return response;
}

LedgerApi::Reply<v1::GetStatementResponse> LedgerApi::GetStatement(const v1::GetStatementRequest& request) {
  absl::StatusOr<StatementQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const int size = query->limit++;
  const absl::StatusOr<std::optional<Statement>> statement = co_await journal_.ReadStatement(*std::move(query));
  if (!statement.ok()) co_return statement.status();
  if (!statement->has_value()) co_return UnknownAccount();
  v1::GetStatementResponse response;
  response.set_account_id((*statement)->account_id);
  response.mutable_balance()->set_currency_code(request.currency_code());
  response.mutable_balance()->set_minor_units((*statement)->balance);
  response.set_next_page_token(FillPage((*statement)->entries, size, response.mutable_entries()));
  co_return response;
}

LedgerApi::Reply<v1::GetTrialBalanceResponse> LedgerApi::GetTrialBalance(const v1::GetTrialBalanceRequest&) {
  const absl::StatusOr<std::vector<TrialLine>> lines = co_await journal_.TrialBalance();
  if (!lines.ok()) co_return lines.status();
  co_return ToProto(*lines);
}

LedgerApi::Reply<v1::VerifyJournalResponse> LedgerApi::VerifyJournal(const v1::VerifyJournalRequest& request) {
  absl::StatusOr<Anchor> anchor = ParseAnchor(request);
  if (!anchor.ok()) co_return anchor.status();
  const absl::StatusOr<Verification> verification = co_await journal_.Verify(request.after_block(), *std::move(anchor));
  if (absl::IsNotFound(verification.status())) {
    co_return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_BLOCK", "after_block: there is no such block",
                           {{"field", "after_block"}});
  }
  if (!verification.ok()) co_return verification.status();
  co_return ToProto(*verification);
}

}  // namespace flotilla::payment
