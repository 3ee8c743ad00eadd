#include "payment/api/payments_convert.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "validation/validation.h"

namespace flotilla::payment {

absl::StatusOr<std::string> ParseOrderId(const std::string& order_id, int index) {
  if (!validation::IsUuid(order_id))
    return errors::InvalidField(absl::StrCat("order_ids[", index, "]"), validation::kUuidRule);
  return absl::AsciiStrToLower(order_id);
}

absl::Status UnknownPayment() {
  return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_PAYMENT",
                      "the external provider is not to be paid for this order");
}

v1::PaymentState ToProto(ChargeState state) {
  switch (state) {
    case ChargeState::kCharged:
      return v1::PAYMENT_STATE_SUCCEEDED;
    case ChargeState::kRefused:
      return v1::PAYMENT_STATE_FAILED;
    case ChargeState::kAwaiting:
      return v1::PAYMENT_STATE_AWAITING;
    case ChargeState::kExpired:
      return v1::PAYMENT_STATE_EXPIRED;
    case ChargeState::kAuthorized:  // of wallets
    case ChargeState::kRefunded:
    case ChargeState::kVoided:
      return v1::PAYMENT_STATE_GIVEN_BACK;
  }
  return v1::PAYMENT_STATE_UNSPECIFIED;
}

}  // namespace flotilla::payment
