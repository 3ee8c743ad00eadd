#include "payment/api/payment_api.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "errors/errors.h"
#include "payment/api/convert.h"
#include "payment/api/payments_convert.h"
#include "rpc/batch_items.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

constexpr char kCharges[] = "flotilla_payment_charges_total";
constexpr char kChargesHelp[] = "Charges answered, repeats included";

// For rpc::ParseItems.
constexpr auto kParse = [](const auto& request, int index) { return Parse(request, index); };

// The same for a wallet that exists and for one that does not.
absl::Status CheckOwner(const rpc::Call& call, const std::string& user_id) {
  if (call.for_any_user || call.user_id == user_id) return absl::OkStatus();
  return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_THE_OWNER", "the wallet is another user's");
}

}  // namespace

PaymentApi::PaymentApi(rpc::Server& server, Ledger& ledger, const postgres::DatabaseClock& clock,
                       CallbackVerifier verifier)
    : ledger_(ledger),
      clock_(clock),
      verifier_(std::move(verifier)),
      charged_(telemetry::Counter(kCharges, kChargesHelp, {{"outcome", "charged"}})),
      refused_(telemetry::Counter(kCharges, kChargesHelp, {{"outcome", "refused"}})),
      refunds_(telemetry::Counter("flotilla_payment_refunds_total", "Refunds answered, repeats included")),
      forged_(telemetry::Counter("flotilla_payment_callbacks_refused_total",
                                 "Callbacks that were not the provider's, too old or malformed")) {
  using Service = v1::PaymentService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  // `request` lives until the handler's coroutine has ended.
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call&, const auto& request) { return (this->*handler)(request); });
  };
  const auto add_owned = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add_owned(&Service::RequestOpenAccount, "flotilla.payment.v1.PaymentService/OpenAccount", &PaymentApi::OpenAccount);
  add(&Service::RequestDeposit, "flotilla.payment.v1.PaymentService/Deposit", &PaymentApi::Deposit);
  add_owned(&Service::RequestGetAccount, "flotilla.payment.v1.PaymentService/GetAccount", &PaymentApi::GetAccount);
  add(&Service::RequestCharge, "flotilla.payment.v1.PaymentService/Charge", &PaymentApi::Charge);
  add(&Service::RequestRefund, "flotilla.payment.v1.PaymentService/Refund", &PaymentApi::Refund);
  add(&Service::RequestAuthorize, "flotilla.payment.v1.PaymentService/Authorize", &PaymentApi::Authorize);
  add(&Service::RequestCapture, "flotilla.payment.v1.PaymentService/Capture", &PaymentApi::Capture);
  add(&Service::RequestVoid, "flotilla.payment.v1.PaymentService/Void", &PaymentApi::Void);
  add(&Service::RequestSettle, "flotilla.payment.v1.PaymentService/Settle", &PaymentApi::Settle);
  add(&Service::RequestCreatePayment, "flotilla.payment.v1.PaymentService/CreatePayment", &PaymentApi::CreatePayment);
  add(&Service::RequestHandleCallback, "flotilla.payment.v1.PaymentService/HandleCallback",
      &PaymentApi::HandleCallback);
  add(&Service::RequestBatchGetPayments, "flotilla.payment.v1.PaymentService/BatchGetPayments",
      &PaymentApi::BatchGetPayments);
  add(&Service::RequestBatchCharge, "flotilla.payment.v1.PaymentService/BatchCharge", &PaymentApi::BatchCharge);
  add(&Service::RequestBatchRefund, "flotilla.payment.v1.PaymentService/BatchRefund", &PaymentApi::BatchRefund);
}

PaymentApi::Reply<v1::OpenAccountResponse> PaymentApi::OpenAccount(rpc::Call& call,
                                                                   const v1::OpenAccountRequest& request) {
  absl::StatusOr<WalletKey> key = ParseWallet(request.user_id(), request.currency_code());
  if (!key.ok()) co_return key.status();
  if (absl::Status status = CheckOwner(call, request.user_id()); !status.ok()) co_return status;
  const absl::StatusOr<std::int64_t> balance = co_await ledger_.Open(*std::move(key));
  if (!balance.ok()) co_return balance.status();
  v1::OpenAccountResponse response;
  *response.mutable_account() = ToProto(request.user_id(), request.currency_code(), *balance);
  co_return response;
}

PaymentApi::Reply<v1::DepositResponse> PaymentApi::Deposit(const v1::DepositRequest& request) {
  absl::StatusOr<DepositCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  const absl::StatusOr<DepositResult> result = co_await ledger_.Deposit(*std::move(command));
  if (!result.ok()) co_return result.status();
  if (absl::Status status = ToStatus(result->outcome); !status.ok()) co_return status;
  v1::DepositResponse response;
  *response.mutable_account() = ToProto(request.user_id(), request.amount().currency_code(), result->balance);
  co_return response;
}

PaymentApi::Reply<v1::GetAccountResponse> PaymentApi::GetAccount(rpc::Call& call,
                                                                 const v1::GetAccountRequest& request) {
  absl::StatusOr<WalletKey> key = ParseWallet(request.user_id(), request.currency_code());
  if (!key.ok()) co_return key.status();
  if (absl::Status status = CheckOwner(call, request.user_id()); !status.ok()) co_return status;
  const absl::StatusOr<std::optional<std::int64_t>> balance = co_await ledger_.Read(*std::move(key));
  if (!balance.ok()) co_return balance.status();
  if (!balance->has_value()) co_return UnknownAccount();
  v1::GetAccountResponse response;
  *response.mutable_account() = ToProto(request.user_id(), request.currency_code(), **balance);
  co_return response;
}

PaymentApi::Reply<v1::ChargeResponse> PaymentApi::Charge(const v1::ChargeRequest& request) {
  absl::StatusOr<ChargeCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  std::vector<ChargeCommand> commands;
  commands.push_back(*std::move(command));
  const absl::StatusOr<std::vector<ChargeResult>> results = co_await ledger_.Charge(std::move(commands));
  if (!results.ok()) co_return results.status();
  absl::Status status = ToStatus(results->front().outcome);
  (status.ok() ? charged_ : refused_).Increment();
  if (!status.ok()) co_return status;
  co_return ToProto(results->front());
}

PaymentApi::Reply<ActionResult> PaymentApi::Act(absl::StatusOr<Action> action) {
  if (!action.ok()) co_return action.status();
  std::vector<Action> actions;
  actions.push_back(*std::move(action));
  absl::StatusOr<std::vector<ActionResult>> results = co_await ledger_.Act(std::move(actions));
  if (!results.ok()) co_return results.status();
  if (absl::Status status = ToStatus(results->front().outcome); !status.ok()) co_return status;
  co_return std::move(results->front());
}

PaymentApi::Reply<v1::RefundResponse> PaymentApi::Refund(const v1::RefundRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request));
  if (!result.ok()) co_return result.status();
  refunds_.Increment();
  co_return RefundResponse(*result);
}

PaymentApi::Reply<v1::AuthorizeResponse> PaymentApi::Authorize(const v1::AuthorizeRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request, clock_.Now()));
  if (!result.ok()) co_return result.status();
  co_return AuthorizeResponse(*result);
}

PaymentApi::Reply<v1::CaptureResponse> PaymentApi::Capture(const v1::CaptureRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request));
  if (!result.ok()) co_return result.status();
  co_return CaptureResponse(*result);
}

PaymentApi::Reply<v1::VoidResponse> PaymentApi::Void(const v1::VoidRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request));
  if (!result.ok()) co_return result.status();
  co_return VoidResponse(*result);
}

PaymentApi::Reply<v1::SettleResponse> PaymentApi::Settle(const v1::SettleRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request));
  if (!result.ok()) co_return result.status();
  co_return SettleResponse(*result);
}

PaymentApi::Reply<v1::CreatePaymentResponse> PaymentApi::CreatePayment(const v1::CreatePaymentRequest& request) {
  const absl::StatusOr<ActionResult> result = co_await Act(Parse(request));
  if (!result.ok()) co_return result.status();
  co_return CreatePaymentResponse(*result);
}

PaymentApi::Reply<v1::HandleCallbackResponse> PaymentApi::HandleCallback(const v1::HandleCallbackRequest& request) {
  absl::StatusOr<CallbackCommand> command = verifier_.Verify(request, clock_.Now());
  if (!command.ok()) {
    forged_.Increment();
    co_return command.status();
  }
  const absl::StatusOr<ActionResult> result = co_await Act(Action(*std::move(command)));
  if (!result.ok()) co_return result.status();
  co_return v1::HandleCallbackResponse();
}

PaymentApi::Reply<v1::BatchGetPaymentsResponse> PaymentApi::BatchGetPayments(
    const v1::BatchGetPaymentsRequest& request) {
  if (absl::Status status = rpc::CheckBatch(request.order_ids_size(), "order_ids"); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<std::string>(request.order_ids(), ParseOrderId);
  absl::StatusOr<std::vector<std::optional<ChargeState>>> states = std::vector<std::optional<ChargeState>>();
  if (!batch.commands.empty()) states = co_await ledger_.ReadPayments(std::move(batch.commands));
  if (!states.ok()) co_return states.status();
  co_return rpc::Assemble<v1::BatchGetPaymentsResponse>(batch.errors, *states,
                                                        [](const std::optional<ChargeState>& state, auto& item) {
                                                          if (state.has_value()) {
                                                            item.set_state(ToProto(*state));
                                                          } else {
                                                            *item.mutable_error() = errors::ToProto(UnknownPayment());
                                                          }
                                                        });
}

PaymentApi::Reply<v1::BatchChargeResponse> PaymentApi::BatchCharge(const v1::BatchChargeRequest& request) {
  if (absl::Status status = rpc::CheckBatch(request.requests_size()); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<ChargeCommand>(request.requests(), kParse);
  absl::StatusOr<std::vector<ChargeResult>> results = std::vector<ChargeResult>();
  if (!batch.commands.empty()) results = co_await ledger_.Charge(std::move(batch.commands));
  if (!results.ok()) co_return results.status();
  const auto charged = std::count_if(results->begin(), results->end(),
                                     [](const ChargeResult& r) { return r.outcome == ChargeOutcome::kCharged; });
  charged_.Increment(static_cast<double>(charged));
  refused_.Increment(static_cast<double>(static_cast<std::ptrdiff_t>(results->size()) - charged));
  co_return rpc::Assemble<v1::BatchChargeResponse>(batch.errors, *results, [](const ChargeResult& result, auto& item) {
    if (const absl::Status status = ToStatus(result.outcome); !status.ok()) {
      *item.mutable_error() = errors::ToProto(status);
    } else {
      *item.mutable_response() = ToProto(result);
    }
  });
}

PaymentApi::Reply<v1::BatchRefundResponse> PaymentApi::BatchRefund(const v1::BatchRefundRequest& request) {
  if (absl::Status status = rpc::CheckBatch(request.requests_size()); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<Action>(request.requests(), kParse);
  absl::StatusOr<std::vector<ActionResult>> results = std::vector<ActionResult>();
  if (!batch.commands.empty()) results = co_await ledger_.Act(std::move(batch.commands));
  if (!results.ok()) co_return results.status();
  refunds_.Increment(static_cast<double>(results->size()));
  co_return rpc::Assemble<v1::BatchRefundResponse>(batch.errors, *results, [](const ActionResult& result, auto& item) {
    if (const absl::Status status = ToStatus(result.outcome); !status.ok()) {
      *item.mutable_error() = errors::ToProto(status);
    } else {
      *item.mutable_response() = RefundResponse(result);
    }
  });
}

}  // namespace flotilla::payment
