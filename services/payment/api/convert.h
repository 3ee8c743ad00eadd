// Between the wire and the domain: parsing with validation, outcomes as statuses.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "payment/domain/action.h"
#include "payment/domain/deposit.h"
#include "rpc/batch_items.h"

namespace flotilla::payment {

inline constexpr absl::Duration kDefaultExpiry = absl::Hours(7 * 24);  // of an authorization

// Errors name the field: "amount.minor_units", or "requests[2].amount.minor_units" where `index` is that of a batch's
// item.
absl::StatusOr<ChargeCommand> Parse(const v1::ChargeRequest& request, int index = rpc::kNotInBatch);
absl::StatusOr<Action> Parse(const v1::RefundRequest& request, int index = rpc::kNotInBatch);
absl::StatusOr<DepositCommand> Parse(const v1::DepositRequest& request);
// A time that is absent is set from `now`. Whether a time is a good one is the rules' to say: a repeat may come when
// the first one's has passed.
absl::StatusOr<Action> Parse(const v1::AuthorizeRequest& request, absl::Time now);
absl::StatusOr<Action> Parse(const v1::CaptureRequest& request);
absl::StatusOr<Action> Parse(const v1::VoidRequest& request);
absl::StatusOr<Action> Parse(const v1::SettleRequest& request);
// With a new reference.
absl::StatusOr<Action> Parse(const v1::CreatePaymentRequest& request);
absl::StatusOr<WalletKey> ParseWallet(std::string_view user_id, std::string_view currency);

// OK for kCharged, kDeposited and kDone.
absl::Status ToStatus(ChargeOutcome outcome);
absl::Status ToStatus(DepositOutcome outcome);
absl::Status ToStatus(Outcome outcome);
absl::Status UnknownAccount();

v1::Account ToProto(const std::string& user_id, const std::string& currency, std::int64_t balance);
v1::ChargeResponse ToProto(const ChargeResult& result);
// Responses to actions that were done. An amount of 0 is left out.
v1::RefundResponse RefundResponse(const ActionResult& result);
v1::AuthorizeResponse AuthorizeResponse(const ActionResult& result);
v1::CaptureResponse CaptureResponse(const ActionResult& result);
v1::VoidResponse VoidResponse(const ActionResult& result);
v1::SettleResponse SettleResponse(const ActionResult& result);
v1::CreatePaymentResponse CreatePaymentResponse(const ActionResult& result);

}  // namespace flotilla::payment
