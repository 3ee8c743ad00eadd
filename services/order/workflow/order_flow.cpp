#include "order/workflow/order_flow.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "errors/errors.h"
#include "order/codec/codec.h"
#include "order/workflow/external_flow.h"
#include "order/workflow/refund_flow.h"

namespace flotilla::order {
namespace {

constexpr char kCreate[] = "create";
constexpr char kCancelledByUser[] = "CANCELLED_BY_USER";

// How long a change by another instance may go unseen here where its word was lost (see order_news.h).
constexpr absl::Duration kPoll = absl::Seconds(1);

absl::Status KeyReused() {
  return errors::Make(absl::StatusCode::kAlreadyExists, "IDEMPOTENCY_KEY_REUSED",
                      "idempotency_key: was used for an order with another body", {{"field", "idempotency_key"}});
}

// Sets the fixed prices; false where the reservation is for other lines.
bool SetPrices(const Reservation& reservation, Order& order) {
  if (reservation.lines.size() != order.lines.size()) return false;
  for (Line& line : order.lines) {
    const auto it = std::find_if(reservation.lines.begin(), reservation.lines.end(),
                                 [&](const Line& reserved) { return reserved.sku == line.sku; });
    if (it == reservation.lines.end() || it->quantity != line.quantity) return false;
    line.unit_price = it->unit_price;
  }
  order.currency = reservation.currency;
  return true;
}

}  // namespace

saga::Record MakeRecord(const char* type, const Order& order, const std::string& traceparent) {
  saga::Record record;
  record.id = order.order_id;
  record.type = type;
  record.data = Encode(order);
  record.traceparent = traceparent;
  return record;
}

absl::Status UnknownOrder() {
  return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_ORDER", "order_id: the user has no such order",
                      {{"field", "order_id"}});
}

absl::Status OrderBusy() {
  return errors::WithRetryDelay(
      errors::Make(absl::StatusCode::kAborted, "ORDER_BUSY", "another change of the order is under way"),
      absl::Milliseconds(200));
}

absl::Status Retryable(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnknown && status.code() != absl::StatusCode::kAborted) return status;
  return errors::WithRetryDelay(errors::Make(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN",
                                             "the outcome is not known yet; ask again with the same idempotency key"),
                                absl::Milliseconds(100));
}

absl::Status TooManyOpen() {
  return errors::WithRetryDelay(
      errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_OPEN_ORDERS",
                   "too many orders are under way that cannot end, as a service that they need is away"),
      absl::Seconds(1));
}

OrderFlow::OrderFlow(saga::EngineOptions options, Orders& orders, Participants& participants, OrderHub& hub,
                     const postgres::DatabaseClock& clock, absl::Duration payment_window)
    : orders_(orders),
      participants_(participants),
      hub_(hub),
      end_(orders, hub, clock),
      clock_(clock),
      payment_window_(payment_window),
      engine_(std::move(options), {CreateSaga(), CancelSaga(), RefundFlow::Saga(participants, end_),
                                   OpenPaymentSaga(participants, end_), CompletePaymentSaga(participants, end_)}) {}

void OrderFlow::Start(std::vector<async::Executor*> executors) { engine_.StartRecovery(std::move(executors)); }

void OrderFlow::Stop() { engine_.Stop(absl::Seconds(3)); }

async::Task<absl::StatusOr<Order>> OrderFlow::Create(Order draft, absl::Time deadline, std::string traceparent) {
  if (engine_.Full()) co_return TooManyOpen();
  const bool external = draft.payment_method == PaymentMethod::kExternal;
  const absl::Time now = clock_.Now();
  // Whole seconds, as the contracts carry it.
  if (external) draft.pay_by = absl::FromUnixSeconds(absl::ToUnixSeconds(now + payment_window_));
  const absl::StatusOr<Reservation> reservation = co_await participants_.Reserve(draft, now, deadline);
  if (!reservation.ok()) co_return co_await Stored(std::move(draft), reservation.status(), deadline);

  Order order = std::move(draft);
  if (!SetPrices(*reservation, order)) co_return KeyReused();
  const std::optional<std::int64_t> total = Total(order.lines);
  if (!total.has_value()) {
    // No order will come of this, so its stock must not wait for the hold's end.
    const absl::Status released = co_await participants_.Release(order.order_id, false, deadline);
    released.IgnoreError();  // the hold ends by itself
    co_return errors::InvalidField("items", "their total is more than 10^15");
  }
  order.total = *total;
  order.created_at = order.updated_at = ToMicroseconds(clock_.Now());

  const saga::Record record = MakeRecord(external ? kOpenPayment : kCreate, order, traceparent);
  const auto ticket = hub_.Register(order.order_id);
  const absl::StatusOr<Placed> placed = co_await orders_.Place({order, EventOf(order, traceparent), record});
  // Where the commit's answer was lost, its saga is recovered once its lease ends.
  if (!placed.ok()) co_return Retryable(placed.status());
  if (placed->existing.has_value()) {
    if (placed->existing->body_hash != order.body_hash) co_return KeyReused();
    co_return co_await Settle(*ticket, *placed->existing, deadline);
  }
  hub_.Publish(order);
  Run(record);
  co_return co_await Settle(*ticket, std::move(order), deadline);
}

// The stock was refused. A repeat of an order that exists still gets its first answer.
async::Task<absl::StatusOr<Order>> OrderFlow::Stored(Order draft, absl::Status refusal, absl::Time deadline) {
  const auto code = refusal.code();
  const bool refused = code == absl::StatusCode::kFailedPrecondition || code == absl::StatusCode::kNotFound ||
                       code == absl::StatusCode::kAlreadyExists;
  if (!refused) co_return Retryable(refusal);
  const auto ticket = hub_.Register(draft.order_id);
  const absl::StatusOr<std::optional<Order>> stored = co_await orders_.Read({draft.user_id, draft.order_id});
  if (!stored.ok()) co_return Retryable(stored.status());
  if (!stored->has_value()) co_return code == absl::StatusCode::kAlreadyExists ? KeyReused() : refusal;
  if ((*stored)->body_hash != draft.body_hash) co_return KeyReused();
  co_return co_await Settle(*ticket, **stored, deadline);
}

async::Task<absl::StatusOr<Order>> OrderFlow::Cancel(OrderKey key, absl::Time deadline, std::string traceparent) {
  const auto ticket = hub_.Register(key.order_id);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const absl::StatusOr<Order> order = co_await Read(key);
    if (!order.ok()) co_return order.status();
    if (order->state == State::kCancelled) co_return *order;
    if (order->state == State::kReserved || order->state == State::kRefunding) co_return OrderBusy();
    if (order->state == State::kRefunded) {
      co_return errors::Make(absl::StatusCode::kFailedPrecondition, "ORDER_REFUNDED",
                             "the order has ended: all of its money is back");
    }
    if (order->state == State::kCancelling) co_return co_await Settle(*ticket, *order, deadline);

    const Order cancelling = Advance(*order, State::kCancelling, clock_.Now(), kCancelledByUser);
    const saga::Record record = MakeRecord(kCancel, cancelling, traceparent);
    const absl::StatusOr<ChangeResult> changed =
        co_await orders_.Apply({cancelling, EventOf(cancelling, traceparent), record, Change::Saga::kBegins});
    if (!changed.ok()) co_return Retryable(changed.status());
    if (*changed == ChangeResult::kStale) continue;
    hub_.Publish(cancelling);
    Run(record);
    co_return co_await Settle(*ticket, cancelling, deadline);
  }
  co_return OrderBusy();
}

async::Task<absl::StatusOr<Order>> OrderFlow::Read(OrderKey key) {
  absl::StatusOr<std::optional<Order>> order = co_await orders_.Read(std::move(key));
  if (!order.ok()) co_return Retryable(order.status());
  if (!order->has_value()) co_return UnknownOrder();
  co_return **std::move(order);
}

async::Task<absl::StatusOr<Order>> OrderFlow::Next(OrderHub::Ticket& ticket, Order latest, absl::Time deadline) {
  const async::SteadyTime end = async::After(deadline - absl::Now());
  while (async::SteadyNow() < end) {
    std::vector<Order> news = co_await ticket.Wait(std::min(end, async::After(kPoll)));
    // A nudge tells of a change at another instance, which may be newer than the news.
    if (news.empty() || !ticket.TakeNudged().empty()) {
      absl::StatusOr<Order> read = co_await Read({latest.user_id, latest.order_id});
      // Where it is away, the database may be back before the deadline.
      if (read.ok()) KeepNewest(news, *read);
      if (news.empty()) continue;
    }
    if (news.front().version > latest.version) co_return std::move(news.front());
  }
  co_return latest;
}

async::Task<absl::StatusOr<Order>> OrderFlow::Settle(OrderHub::Ticket& ticket, Order order, absl::Time deadline) {
  while (!AtRest(order.state)) {
    const std::int64_t version = order.version;
    absl::StatusOr<Order> next = co_await Next(ticket, std::move(order), deadline);
    if (!next.ok()) co_return next.status();
    order = *std::move(next);
    if (order.version == version) break;
  }
  co_return order;
}

void OrderFlow::Run(saga::Record record) { async::Start(RunSaga(std::move(record))); }

async::Task<void> OrderFlow::RunSaga(saga::Record record) { co_await engine_.Run(std::move(record)); }

// Reserve ran before the order was written; from there on this saga guarantees the end. The hold may have expired when
// a late recovery comes to confirm it, so confirm is the pivot: refused, the money goes back.
saga::Definition OrderFlow::CreateSaga() {
  using saga::Context;
  saga::Definition saga;
  saga.type = kCreate;
  saga.steps.push_back({.name = "reserve", .compensation = [this](Context& c) {
                          return participants_.Release(c.record.id, true, c.deadline);
                        }});
  saga.steps.push_back({.name = "charge",
                        .action = [this](Context& c) -> async::Task<absl::Status> {
                          const absl::StatusOr<Order> order = Decode(c.record.data);
                          if (!order.ok()) co_return order.status();
                          co_return co_await participants_.Charge(*order, c.deadline);
                        },
                        .compensation = [this](Context& c) { return participants_.Refund(c.record.id, c.deadline); }});
  saga.steps.push_back({.name = "confirm",
                        .action = [this](Context& c) { return participants_.Confirm(c.record.id, c.deadline); },
                        .pivot = true});
  saga.finish_forward = [this](Context& c) { return end_.Finish(c, State::kPaid, ""); };
  saga.finish_compensated = [this](Context& c) { return end_.Finish(c, State::kCancelled, c.record.reason); };
  return saga;
}

// Only forward: money first, then stock. Whatever refuses is retried, then parked, and goes on from there once an
// operator has mended it.
saga::Definition OrderFlow::CancelSaga() {
  using saga::Context;
  saga::Definition saga;
  saga.type = kCancel;
  saga.steps.push_back({.name = "begun", .pivot = true});
  saga.steps.push_back(
      {.name = "refund", .action = [this](Context& c) { return participants_.Refund(c.record.id, c.deadline); }});
  saga.steps.push_back({.name = "return_stock",
                        .action = [this](Context& c) { return participants_.Release(c.record.id, true, c.deadline); }});
  // The reason stands in the order since it began.
  saga.finish_forward = [this](Context& c) -> async::Task<absl::Status> {
    const absl::StatusOr<Order> order = Decode(c.record.data);
    if (!order.ok()) co_return order.status();
    co_return co_await end_.Finish(c, State::kCancelled, order->cancel_reason);
  };
  // Of records that an older build has turned back.
  saga.finish_compensated = [](Context&) -> async::Task<absl::Status> {
    co_return absl::InternalError("the refund of a paid order was refused");
  };
  return saga;
}

}  // namespace flotilla::order
