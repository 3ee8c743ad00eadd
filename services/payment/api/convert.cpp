#include "payment/api/convert.h"

#include <openssl/rand.h>

#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "validation/validation.h"

namespace flotilla::payment {
namespace {

using validation::IsCurrency;
using validation::IsKey;
using validation::IsName;
using validation::IsUuid;

absl::StatusOr<Money> ParseAmount(const type::v1::Money& money, int index) {
  if (!IsCurrency(money.currency_code()))
    return rpc::InvalidItem(index, "amount.currency_code", validation::kCurrencyRule);
  if (money.minor_units() < 1 || money.minor_units() > kMaxAmount) {
    return rpc::InvalidItem(index, "amount.minor_units", "must be 1 to 10^15");
  }
  return Money{money.currency_code(), money.minor_units()};
}

// As PostgreSQL writes it.
absl::StatusOr<std::string> ParseOrder(const std::string& order_id, int index = rpc::kNotInBatch) {
  if (!IsUuid(order_id)) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  return absl::AsciiStrToLower(order_id);
}

// Seconds are enough for deadlines of days.
absl::Time ExpiryOf(const google::protobuf::Timestamp& time) { return absl::FromUnixSeconds(time.seconds()); }

// Unguessable: whoever knows it can be taken for the payer by the provider.
std::string NewReference() {
  std::array<unsigned char, 16> random;
  if (RAND_bytes(random.data(), random.size()) != 1) return "";
  return absl::StrCat("pay_", absl::BytesToHexString({reinterpret_cast<const char*>(random.data()), random.size()}));
}

// The fields that Charge, Authorize and CreatePayment share.
template <class Request>
absl::StatusOr<ChargeCommand> ParseCharge(const Request& request, int index) {
  absl::StatusOr<std::string> order_id = ParseOrder(request.order_id(), index);
  if (!order_id.ok()) return order_id.status();
  if (!IsName(request.user_id())) return rpc::InvalidItem(index, "user_id", validation::kNameRule);
  absl::StatusOr<Money> amount = ParseAmount(request.amount(), index);
  if (!amount.ok()) return amount.status();
  return ChargeCommand{*std::move(order_id), request.user_id(), *std::move(amount)};
}

template <class Response>
Response WithAmount(const ActionResult& result) {
  Response response;
  if (result.amount.minor_units > 0) {
    response.mutable_amount()->set_currency_code(result.amount.currency);
    response.mutable_amount()->set_minor_units(result.amount.minor_units);
  }
  return response;
}

}  // namespace

absl::StatusOr<ChargeCommand> Parse(const v1::ChargeRequest& request, int index) { return ParseCharge(request, index); }

absl::StatusOr<Action> Parse(const v1::RefundRequest& request, int index) {
  absl::StatusOr<std::string> order_id = ParseOrder(request.order_id(), index);
  if (!order_id.ok()) return order_id.status();
  RefundCommand command{.order_id = *std::move(order_id), .refund_id = request.refund_id()};
  if (!command.refund_id.empty() && !IsName(command.refund_id)) {
    return rpc::InvalidItem(index, "refund_id", validation::kNameRule);
  }
  if (request.has_amount()) {
    if (command.refund_id.empty()) return rpc::InvalidItem(index, "amount", "needs a refund_id");
    absl::StatusOr<Money> amount = ParseAmount(request.amount(), index);
    if (!amount.ok()) return amount.status();
    command.amount = *std::move(amount);
  }
  return command;
}

absl::StatusOr<Action> Parse(const v1::AuthorizeRequest& request, absl::Time now) {
  absl::StatusOr<ChargeCommand> charge = ParseCharge(request, rpc::kNotInBatch);
  if (!charge.ok()) return charge.status();
  const absl::Time expires_at = request.has_expire_time() ? ExpiryOf(request.expire_time()) : now + kDefaultExpiry;
  return AuthorizeCommand{charge->order_id, charge->user_id, charge->amount, expires_at};
}

absl::StatusOr<Action> Parse(const v1::CaptureRequest& request) {
  absl::StatusOr<std::string> order_id = ParseOrder(request.order_id());
  if (!order_id.ok()) return order_id.status();
  CaptureCommand command{.order_id = *std::move(order_id)};
  if (request.has_amount()) {
    absl::StatusOr<Money> amount = ParseAmount(request.amount(), rpc::kNotInBatch);
    if (!amount.ok()) return amount.status();
    command.amount = *std::move(amount);
  }
  return command;
}

absl::StatusOr<Action> Parse(const v1::VoidRequest& request) {
  absl::StatusOr<std::string> order_id = ParseOrder(request.order_id());
  if (!order_id.ok()) return order_id.status();
  return VoidCommand{*std::move(order_id)};
}

absl::StatusOr<Action> Parse(const v1::SettleRequest& request) {
  absl::StatusOr<std::string> order_id = ParseOrder(request.order_id());
  if (!order_id.ok()) return order_id.status();
  return SettleCommand{*std::move(order_id)};
}

absl::StatusOr<Action> Parse(const v1::CreatePaymentRequest& request) {
  absl::StatusOr<ChargeCommand> charge = ParseCharge(request, rpc::kNotInBatch);
  if (!charge.ok()) return charge.status();
  if (!request.has_expire_time()) return errors::InvalidField("expire_time", "is required");
  std::string reference = NewReference();
  if (reference.empty()) return absl::UnavailableError("no randomness for a payment reference");
  return AwaitCommand{charge->order_id, charge->user_id, charge->amount, ExpiryOf(request.expire_time()),
                      std::move(reference)};
}

absl::StatusOr<DepositCommand> Parse(const v1::DepositRequest& request) {
  if (!IsName(request.user_id())) return errors::InvalidField("user_id", validation::kNameRule);
  absl::StatusOr<Money> amount = ParseAmount(request.amount(), rpc::kNotInBatch);
  if (!amount.ok()) return amount.status();
  if (!IsKey(request.deposit_id())) return errors::InvalidField("deposit_id", validation::kKeyRule);
  return DepositCommand{request.deposit_id(), request.user_id(), std::move(*amount)};
}

absl::StatusOr<WalletKey> ParseWallet(std::string_view user_id, std::string_view currency) {
  if (!IsName(user_id)) return errors::InvalidField("user_id", validation::kNameRule);
  if (!IsCurrency(currency)) return errors::InvalidField("currency_code", validation::kCurrencyRule);
  return WalletKey(user_id, currency);
}

absl::Status UnknownAccount() {
  return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_ACCOUNT", "the user has no wallet in this currency");
}

absl::Status ToStatus(ChargeOutcome outcome) {
  using absl::StatusCode;
  switch (outcome) {
    case ChargeOutcome::kCharged:
      return absl::OkStatus();
    case ChargeOutcome::kInsufficientFunds:
      return errors::Make(StatusCode::kFailedPrecondition, "INSUFFICIENT_FUNDS", "the wallet holds too little money");
    case ChargeOutcome::kUnknownAccount:
      return UnknownAccount();
    case ChargeOutcome::kVoided:
      return errors::Make(StatusCode::kFailedPrecondition, "CHARGE_VOIDED",
                          "the order was refunded before this charge");
    case ChargeOutcome::kRefunded:
      return errors::Make(StatusCode::kFailedPrecondition, "CHARGE_REFUNDED", "the order's charge was given back");
    case ChargeOutcome::kOtherUser:
      return errors::Make(StatusCode::kAlreadyExists, "CHARGE_USER_MISMATCH",
                          "user_id: somebody else pays for this order", {{"field", "user_id"}});
    case ChargeOutcome::kOtherAmount:
      return errors::Make(StatusCode::kAlreadyExists, "CHARGE_AMOUNT_MISMATCH",
                          "amount: was another one when this order was first charged", {{"field", "amount"}});
    case ChargeOutcome::kOtherMethod:
      return errors::Make(StatusCode::kAlreadyExists, "CHARGE_METHOD_MISMATCH", "the order is paid in another way");
  }
  return absl::InternalError("unknown outcome of a charge");
}

absl::Status ToStatus(DepositOutcome outcome) {
  using absl::StatusCode;
  switch (outcome) {
    case DepositOutcome::kDeposited:
      return absl::OkStatus();
    case DepositOutcome::kUnknownAccount:
      return UnknownAccount();
    case DepositOutcome::kMismatch:
      return errors::Make(StatusCode::kAlreadyExists, "IDEMPOTENCY_KEY_REUSED",
                          "this deposit_id was used for another wallet or amount");
    case DepositOutcome::kBalanceLimit:
      return errors::Make(StatusCode::kFailedPrecondition, "BALANCE_LIMIT",
                          "the ledger cannot hold more of this currency");
  }
  return absl::InternalError("unknown outcome of a deposit");
}

absl::Status ToStatus(Outcome outcome) {
  using absl::StatusCode;
  switch (outcome) {
    case Outcome::kDone:
      return absl::OkStatus();
    case Outcome::kInsufficientFunds:
      return ToStatus(ChargeOutcome::kInsufficientFunds);
    case Outcome::kUnknownAccount:
      return UnknownAccount();
    case Outcome::kUnknownCharge:
      return errors::Make(StatusCode::kNotFound, "UNKNOWN_CHARGE", "the order was not charged");
    case Outcome::kUnknownReference:
      return errors::Make(StatusCode::kNotFound, "UNKNOWN_REFERENCE", "no payment has this reference");
    case Outcome::kOtherUser:
      return ToStatus(ChargeOutcome::kOtherUser);
    case Outcome::kOtherAmount:
      return ToStatus(ChargeOutcome::kOtherAmount);
    case Outcome::kOtherMethod:
      return ToStatus(ChargeOutcome::kOtherMethod);
    case Outcome::kBadExpiry:
      return errors::InvalidField("expire_time", "must be in the future, at most 30 days ahead");
    case Outcome::kCurrencyMismatch:
      return errors::Make(StatusCode::kInvalidArgument, "CURRENCY_MISMATCH", "the charge is in another currency",
                          {{"field", "amount.currency_code"}});
    case Outcome::kVoided:
      return ToStatus(ChargeOutcome::kVoided);
    case Outcome::kRefunded:
      return ToStatus(ChargeOutcome::kRefunded);
    case Outcome::kExpired:
      return errors::Make(StatusCode::kFailedPrecondition, "AUTHORIZATION_EXPIRED", "the hold's time has run out");
    case Outcome::kRefused:
      return errors::Make(StatusCode::kFailedPrecondition, "CHARGE_REFUSED",
                          "the charge was refused: nothing was taken");
    case Outcome::kNotCaptured:
      return errors::Make(StatusCode::kFailedPrecondition, "NOT_CAPTURED",
                          "the money is only held: capture or void it");
    case Outcome::kNotPaid:
      return errors::Make(StatusCode::kFailedPrecondition, "NOT_PAID", "the external provider has not spoken yet");
    case Outcome::kPaymentExpired:
      return errors::Make(StatusCode::kFailedPrecondition, "PAYMENT_EXPIRED", "the order was not paid in time");
    case Outcome::kAlreadyCaptured:
      return errors::Make(StatusCode::kFailedPrecondition, "ALREADY_CAPTURED", "it was captured: refund it instead");
    case Outcome::kCaptureMismatch:
      return errors::Make(StatusCode::kAlreadyExists, "CAPTURE_MISMATCH", "another amount was captured before");
    case Outcome::kNotAuthorized:
      return errors::Make(StatusCode::kFailedPrecondition, "NOT_AUTHORIZED",
                          "nothing is held: the external provider is to pay");
    case Outcome::kExceedsAuthorized:
      return errors::Make(StatusCode::kFailedPrecondition, "CAPTURE_EXCEEDS_AUTHORIZED", "less than that is held");
    case Outcome::kExceedsCaptured:
      return errors::Make(StatusCode::kFailedPrecondition, "REFUND_EXCEEDS_CAPTURED", "less than that is left");
    case Outcome::kRefundMismatch:
      return errors::Make(StatusCode::kAlreadyExists, "REFUND_MISMATCH", "this refund_id was used with another amount");
    case Outcome::kAmountMismatch:
      return errors::Make(StatusCode::kFailedPrecondition, "AMOUNT_MISMATCH", "the payment is for another amount");
    case Outcome::kBalanceLimit:
      return ToStatus(DepositOutcome::kBalanceLimit);
    case Outcome::kEventReused:
      return errors::Make(StatusCode::kAlreadyExists, "EVENT_REUSED", "this event_id was used for another event");
  }
  return absl::InternalError("unknown outcome of an action");
}

v1::Account ToProto(const std::string& user_id, const std::string& currency, std::int64_t balance) {
  v1::Account account;
  account.set_user_id(user_id);
  account.mutable_balance()->set_currency_code(currency);
  account.mutable_balance()->set_minor_units(balance);
  return account;
}

v1::ChargeResponse ToProto(const ChargeResult& result) {
  v1::ChargeResponse response;
  response.set_transfer_id(result.transfer_id);
  return response;
}

v1::RefundResponse RefundResponse(const ActionResult& result) { return WithAmount<v1::RefundResponse>(result); }
v1::CaptureResponse CaptureResponse(const ActionResult& result) { return WithAmount<v1::CaptureResponse>(result); }
v1::VoidResponse VoidResponse(const ActionResult& result) { return WithAmount<v1::VoidResponse>(result); }
v1::SettleResponse SettleResponse(const ActionResult& result) { return WithAmount<v1::SettleResponse>(result); }

v1::AuthorizeResponse AuthorizeResponse(const ActionResult& result) {
  v1::AuthorizeResponse response;
  response.set_transfer_id(result.transfer_id);
  response.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(result.expires_at));
  return response;
}

v1::CreatePaymentResponse CreatePaymentResponse(const ActionResult& result) {
  v1::CreatePaymentResponse response;
  response.set_reference(result.reference);
  response.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(result.expires_at));
  return response;
}

}  // namespace flotilla::payment
