#include "payment/codec/codec.h"

#include "flotilla/payment/v1/payment_event.pb.h"
#include "flotilla/payment/v1/reconciliation_event.pb.h"

namespace flotilla::payment {
namespace {

struct Name {
  v1::PaymentEvent::Kind kind;
  const char* type;
};

Name NameOf(Notice notice) {
  switch (notice) {
    case Notice::kSucceeded:
      return {v1::PaymentEvent::KIND_SUCCEEDED, "payment.succeeded"};
    case Notice::kFailed:
      return {v1::PaymentEvent::KIND_FAILED, "payment.failed"};
    case Notice::kExpired:
      return {v1::PaymentEvent::KIND_EXPIRED, "payment.expired"};
    case Notice::kLateRefunded:
      return {v1::PaymentEvent::KIND_LATE_REFUNDED, "payment.late_refunded"};
    case Notice::kConflict:
      return {v1::PaymentEvent::KIND_CONFLICT, "payment.conflict"};
    case Notice::kWrongAmount:
      return {v1::PaymentEvent::KIND_WRONG_AMOUNT, "payment.wrong_amount"};
  }
  return {v1::PaymentEvent::KIND_UNSPECIFIED, "payment.unknown"};
}

}  // namespace

events::Event EventOf(const Work::Told& told, const Charge& charge, absl::Time now) {
  const Name name = NameOf(told.notice);
  v1::PaymentEvent data;
  data.set_order_id(told.order_id);
  data.set_user_id(charge.user_id);
  data.set_kind(name.kind);
  data.mutable_amount()->set_currency_code(charge.amount.currency);
  data.mutable_amount()->set_minor_units(charge.amount.minor_units);
  return {.stream_id = told.order_id,
          .sequence = told.sequence,
          .type = name.type,
          .data = data.SerializeAsString(),
          .occurred_at = now};
}

events::Event DifferencesEvent(const std::string& statement_id, int sequence, std::int64_t added, std::int64_t open,
                               absl::Time now) {
  v1::ReconciliationEvent data;
  data.set_statement_id(statement_id);
  data.set_new_differences(added);
  data.set_open_differences(open);
  return {.stream_id = "statement/" + statement_id,
          .sequence = sequence,
          .type = "reconciliation.differences",
          .data = data.SerializeAsString(),
          .occurred_at = now};
}

}  // namespace flotilla::payment
