#include "order/workflow/overdue_payments.h"

#include <utility>

#include "errors/errors.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::order {
namespace {

using payment::v1::PaymentEvent;

constexpr int kBatch = 500;

}  // namespace

OverduePayments::OverduePayments(Options options, OrderHub& hub, const postgres::DatabaseClock& clock)
    : options_(std::move(options)),
      clock_(clock),
      awaiting_(postgres::Named(options_.postgres, "overdue")),
      intake_(options_.postgres, hub, clock),
      found_(telemetry::Counter("flotilla_order_payments_found_total",
                                "Payments whose end was found by asking: payment's event did not come in time")) {}

OverduePayments::~OverduePayments() { Stop(); }

void OverduePayments::Start() {
  thread_ = std::thread([this] { Run(); });
}

void OverduePayments::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

void OverduePayments::Run() {
  while (!stop_.WaitFor(options_.period)) {
    if (const absl::Status status = Sweep(); !status.ok()) {
      telemetry::Warning("overdue payments cannot be asked about", {{"error", status.ToString()}});
    }
  }
}

// One order's error holds up no other; all of them are met again by the next sweep.
absl::Status OverduePayments::Sweep() {
  const absl::Time latest = clock_.Now() - options_.grace;
  absl::Status failed;
  std::optional<Overdue> last;
  while (!stop_.IsSet()) {
    const absl::StatusOr<std::vector<Overdue>> overdue = awaiting_.List(latest, last, kBatch);
    if (!overdue.ok()) return overdue.status();
    if (overdue->empty()) break;
    last = overdue->back();
    std::vector<std::string> ids;
    for (const Overdue& order : *overdue) ids.push_back(order.key.order_id);
    const absl::StatusOr<payment::v1::BatchGetPaymentsResponse> payments = options_.ask(std::move(ids));
    if (!payments.ok()) return payments.status();
    if (static_cast<std::size_t>(payments->results_size()) != overdue->size()) {
      return absl::InternalError("payment answered another number of payments than it was asked about");
    }
    for (int i = 0; i < payments->results_size() && !stop_.IsSet(); ++i) {
      const absl::Status status = Take((*overdue)[static_cast<std::size_t>(i)].key, payments->results(i));
      failed.Update(status);
    }
    if (absl::IsUnavailable(failed)) break;  // the database, for all
  }
  return failed;
}

absl::Status OverduePayments::Take(const OrderKey& key, const payment::v1::BatchGetPaymentsResponse::Result& result) {
  const std::optional<PaymentEvent::Kind> kind = KindOf(result);
  if (!kind.has_value()) return absl::OkStatus();
  const absl::StatusOr<bool> begun = intake_.Take(key, *kind, "");
  if (absl::IsFailedPrecondition(begun.status())) return absl::OkStatus();  // another instance has begun it
  if (!begun.ok()) return begun.status();
  if (!*begun) return absl::OkStatus();
  found_.Increment();
  telemetry::Warning("a payment's event did not come in time; payment was asked",
                     {{"order_id", key.order_id}, {"kind", PaymentEvent::Kind_Name(*kind)}});
  return absl::OkStatus();
}

std::optional<PaymentEvent::Kind> KindOf(const payment::v1::BatchGetPaymentsResponse::Result& result) {
  // An order awaits a payment that was created before, so one that is not there was lost. Nobody can pay it, and the
  // cancellation leaves a tombstone.
  if (result.has_error()) {
    const bool unknown = absl::IsNotFound(errors::FromProto(result.error()));
    return unknown ? std::optional(PaymentEvent::KIND_EXPIRED) : std::nullopt;
  }
  switch (result.state()) {
    case payment::v1::PAYMENT_STATE_SUCCEEDED:
      return PaymentEvent::KIND_SUCCEEDED;
    case payment::v1::PAYMENT_STATE_FAILED:
    case payment::v1::PAYMENT_STATE_GIVEN_BACK:
      return PaymentEvent::KIND_FAILED;
    case payment::v1::PAYMENT_STATE_EXPIRED:
      return PaymentEvent::KIND_EXPIRED;
    default:
      return std::nullopt;
  }
}

}  // namespace flotilla::order
