#include "payment/api/convert.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
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

}  // namespace

absl::StatusOr<ChargeCommand> Parse(const v1::ChargeRequest& request, int index) {
  if (!IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  if (!IsName(request.user_id())) return rpc::InvalidItem(index, "user_id", validation::kNameRule);
  absl::StatusOr<Money> amount = ParseAmount(request.amount(), index);
  if (!amount.ok()) return amount.status();
  return ChargeCommand{absl::AsciiStrToLower(request.order_id()), request.user_id(), std::move(*amount)};
}

absl::StatusOr<std::string> Parse(const v1::RefundRequest& request, int index) {
  if (!IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  return absl::AsciiStrToLower(request.order_id());  // as PostgreSQL writes it
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
    case ChargeOutcome::kMismatch:
      return errors::Make(StatusCode::kAlreadyExists, "CHARGE_MISMATCH",
                          "the order was charged before with another user or amount");
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

v1::RefundResponse ToProto(const RefundResult& result) {
  v1::RefundResponse response;
  if (result.refunded.minor_units > 0) {
    response.mutable_amount()->set_currency_code(result.refunded.currency);
    response.mutable_amount()->set_minor_units(result.refunded.minor_units);
  }
  return response;
}

}  // namespace flotilla::payment
