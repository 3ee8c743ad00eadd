// Orders that the external provider is paid for: RESERVED -> AWAITING_PAYMENT, and on by what payment's events tell.
#pragma once

#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "events/log.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "order/store/order_store.h"
#include "order/workflow/order_hub.h"
#include "order/workflow/participants.h"
#include "order/workflow/saga_end.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"
#include "saga/saga.h"

namespace flotilla::order {

inline constexpr char kOpenPayment[] = "open_payment";

// From RESERVED to AWAITING_PAYMENT: tells payment to expect the provider's word.
saga::Definition OpenPaymentSaga(Participants& participants, SagaEnd& end);
// Paid: the stock is confirmed and the order PAID; where the hold is gone, the money goes back.
saga::Definition CompletePaymentSaga(Participants& participants, SagaEnd& end);

// What became of payments, by payment's events or its answers. Blocking; one thread at a time.
class PaymentIntake {
 public:
  // `hub` and `clock` outlive it.
  PaymentIntake(postgres::Options options, OrderHub& hub, const postgres::DatabaseClock& clock);

  // OK: what each event asks for is begun durably, once however often it comes, by a saga that any instance recovers
  // at once. FAILED_PRECONDITION where an order has not come so far: deliver it again,
  // later and alone.
  absl::Status Apply(std::span<const events::Event> events);
  // The same for what payment has answered about one order; whether that began something.
  absl::StatusOr<bool> Take(const OrderKey& key, payment::v1::PaymentEvent::Kind kind, const std::string& traceparent);

 private:
  absl::Status Apply(const events::Event& event);

  OrderStore store_;
  OrderHub& hub_;
  const postgres::DatabaseClock& clock_;
  prometheus::Counter& begun_;
  prometheus::Counter& repeats_;
  prometheus::Counter& unreadable_;
};

}  // namespace flotilla::order
