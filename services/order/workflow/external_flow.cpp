#include "order/workflow/external_flow.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "order/codec/codec.h"
#include "order/workflow/order_flow.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

using payment::v1::PaymentEvent;

constexpr char kCompletePayment[] = "complete_payment";
constexpr char kPaymentStep[] = "payment";

// What the order turns into by the event; nothing where the event asks for nothing.
std::optional<Order> Next(const Order& order, PaymentEvent::Kind kind, absl::Time now) {
  switch (kind) {
    case PaymentEvent::KIND_SUCCEEDED:
      return Advance(order, State::kReserved, now);
    case PaymentEvent::KIND_FAILED:
      return Advance(order, State::kCancelling, now, "PAYMENT_FAILED");
    case PaymentEvent::KIND_EXPIRED:
      return Advance(order, State::kCancelling, now, "PAYMENT_EXPIRED");
    default:  // money that went back by itself, or an alert: the order was given up before
      return std::nullopt;
  }
}

prometheus::Counter& Handled(const char* outcome) {
  return telemetry::Counter("flotilla_order_payment_events_total", "Events of payment handled, by outcome",
                            {{"outcome", outcome}});
}

saga::Step Reserved(Participants& participants) {
  return {.name = "reserve", .compensation = [&participants](saga::Context& c) {
            return participants.Release(c.record.id, true, c.deadline);
          }};
}

}  // namespace

saga::Definition OpenPaymentSaga(Participants& participants, SagaEnd& end) {
  using saga::Context;
  saga::Definition saga;
  saga.type = kOpenPayment;
  saga.steps.push_back(Reserved(participants));
  saga.steps.push_back(
      {.name = kPaymentStep,
       .action = [&participants](Context& c) -> async::Task<absl::Status> {
         const absl::StatusOr<Order> order = Decode(c.record.data);
         if (!order.ok()) co_return order.status();
         absl::StatusOr<std::string> reference = co_await participants.CreatePayment(*order, c.deadline);
         if (!reference.ok()) co_return reference.status();
         c.results[kPaymentStep] = *std::move(reference);
         co_return absl::OkStatus();
       },
       .compensation = [&participants](Context& c) { return participants.Refund(c.record.id, c.deadline); }});
  saga.finish_forward = [&end](Context& c) -> async::Task<absl::Status> {
    absl::StatusOr<Order> order = Decode(c.record.data);
    if (!order.ok()) co_return order.status();
    order->payment_reference = c.results.at(kPaymentStep);
    co_return co_await end.Commit(c, *std::move(order), State::kAwaitingPayment);
  };
  saga.finish_compensated = [&end](Context& c) { return end.Finish(c, State::kCancelled, c.record.reason); };
  return saga;
}

saga::Definition CompletePaymentSaga(Participants& participants, SagaEnd& end) {
  using saga::Context;
  saga::Definition saga;
  saga.type = kCompletePayment;
  saga.steps.push_back(Reserved(participants));
  saga.steps.push_back({.name = kPaymentStep, .compensation = [&participants](Context& c) {
                          return participants.Refund(c.record.id, c.deadline);
                        }});
  saga.steps.push_back({.name = "confirm",
                        .action = [&participants](Context& c) { return participants.Confirm(c.record.id, c.deadline); },
                        .pivot = true});
  saga.finish_forward = [&end](Context& c) { return end.Finish(c, State::kPaid, ""); };
  saga.finish_compensated = [&end](Context& c) { return end.Finish(c, State::kCancelled, c.record.reason); };
  return saga;
}

// Nobody's, with a lease of nothing: the first instance that looks for orphans runs the saga, within its scan interval.
PaymentIntake::PaymentIntake(postgres::Options options, OrderHub& hub, const postgres::DatabaseClock& clock)
    : store_(postgres::Named(std::move(options), "payments"), "", absl::ZeroDuration()),
      hub_(hub),
      clock_(clock),
      begun_(Handled("begun")),
      repeats_(Handled("repeated")),
      unreadable_(Handled("unreadable")) {}

absl::Status PaymentIntake::Apply(std::span<const events::Event> events) {
  absl::Status result;
  for (const events::Event& event : events) result.Update(Apply(event));
  return result;
}

absl::Status PaymentIntake::Apply(const events::Event& event) {
  if (!absl::StartsWith(event.type, "payment.")) return absl::OkStatus();  // for operators
  PaymentEvent data;
  if (!data.ParseFromString(event.data) || !validation::IsUuid(data.order_id())) {
    telemetry::Error("an event of payment cannot be read", {{"event_id", event.id()}});
    unreadable_.Increment();
    return absl::OkStatus();
  }
  return Take({data.user_id(), absl::AsciiStrToLower(data.order_id())}, data.kind(), event.traceparent).status();
}

absl::StatusOr<bool> PaymentIntake::Take(const OrderKey& key, PaymentEvent::Kind kind, const std::string& traceparent) {
  const absl::StatusOr<std::vector<std::optional<Order>>> orders = store_.Read({&key, 1});
  if (!orders.ok()) return orders.status();
  if (!orders->front().has_value()) {
    // Not by this fleet: an order is written before its payment is created.
    telemetry::Error("a payment of an unknown order", {{"order_id", key.order_id}});
    unreadable_.Increment();
    return false;
  }
  const Order& order = *orders->front();
  const std::optional<Order> next = Next(order, kind, clock_.Now());
  if (!next.has_value()) return false;
  // Still on its way to AWAITING_PAYMENT, or already on its way from there: then the next look finds it further on. It
  // waits alone: where its saga is parked that takes long, and must not hold up other orders' payments.
  if (order.state == State::kReserved) return absl::FailedPreconditionError("the order is in between");
  if (order.state != State::kAwaitingPayment) {
    repeats_.Increment();
    return false;
  }
  const bool paid = next->state == State::kReserved;
  const Change change{*next, EventOf(*next, traceparent),
                      MakeRecord(paid ? kCompletePayment : kCancel, *next, traceparent), Change::Saga::kBegins};
  const absl::StatusOr<std::vector<ChangeResult>> changed = store_.Apply({&change, 1});
  if (!changed.ok()) return changed.status();
  if (changed->front() == ChangeResult::kStale) return absl::AbortedError("the order has just changed");
  hub_.Publish(*next);
  begun_.Increment();
  return true;
}

}  // namespace flotilla::order
