// Between the wire and the domain: questions about payments by the external provider.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "payment/domain/charge.h"

namespace flotilla::payment {

// One of a batch, named "order_ids[2]" in errors.
absl::StatusOr<std::string> ParseOrderId(const std::string& order_id, int index);
absl::Status UnknownPayment();
v1::PaymentState ToProto(ChargeState state);

}  // namespace flotilla::payment
