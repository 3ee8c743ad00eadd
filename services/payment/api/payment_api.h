// The handlers of flotilla.payment.v1.PaymentService.
#pragma once

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"
#include "payment/api/callback.h"
#include "payment/store/ledger.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"
#include "rpc/server.h"

namespace flotilla::payment {

class PaymentApi {
 public:
  // Registers with `server`, whose calls this object, `ledger` and `clock` must outlive.
  PaymentApi(rpc::Server& server, Ledger& ledger, const postgres::DatabaseClock& clock, CallbackVerifier verifier);

 private:
  template <class T>
  using Reply = async::Task<absl::StatusOr<T>>;

  Reply<v1::OpenAccountResponse> OpenAccount(rpc::Call& call, const v1::OpenAccountRequest& request);
  Reply<v1::DepositResponse> Deposit(const v1::DepositRequest& request);
  Reply<v1::GetAccountResponse> GetAccount(rpc::Call& call, const v1::GetAccountRequest& request);
  Reply<v1::ChargeResponse> Charge(const v1::ChargeRequest& request);
  Reply<v1::RefundResponse> Refund(const v1::RefundRequest& request);
  Reply<v1::AuthorizeResponse> Authorize(const v1::AuthorizeRequest& request);
  Reply<v1::CaptureResponse> Capture(const v1::CaptureRequest& request);
  Reply<v1::VoidResponse> Void(const v1::VoidRequest& request);
  Reply<v1::SettleResponse> Settle(const v1::SettleRequest& request);
  Reply<v1::CreatePaymentResponse> CreatePayment(const v1::CreatePaymentRequest& request);
  Reply<v1::HandleCallbackResponse> HandleCallback(const v1::HandleCallbackRequest& request);
  Reply<v1::BatchGetPaymentsResponse> BatchGetPayments(const v1::BatchGetPaymentsRequest& request);
  Reply<v1::BatchChargeResponse> BatchCharge(const v1::BatchChargeRequest& request);
  Reply<v1::BatchRefundResponse> BatchRefund(const v1::BatchRefundRequest& request);

  // The result of one action that was done, or why it was not.
  Reply<ActionResult> Act(absl::StatusOr<Action> action);

  Ledger& ledger_;
  const postgres::DatabaseClock& clock_;
  const CallbackVerifier verifier_;
  prometheus::Counter& charged_;
  prometheus::Counter& refused_;
  prometheus::Counter& refunds_;
  prometheus::Counter& forged_;
};

}  // namespace flotilla::payment
