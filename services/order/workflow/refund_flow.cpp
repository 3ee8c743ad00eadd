#include "order/workflow/refund_flow.h"

#include <utility>

#include "errors/errors.h"
#include "flotilla/order/v1/order_saga.pb.h"
#include "order/codec/codec.h"

namespace flotilla::order {
namespace {

using absl::StatusCode;

// Whether a stored refund is what is asked for again. Without an amount it is of all that was left: the order, as read
// after it, has that much left while it is under way, and nothing afterwards; nor did another refund take the rest.
absl::Status CheckRepeat(const RefundRequest& request, const Refund& stored, const Order& order) {
  const std::int64_t left = order.total - order.refunded;
  const bool same_amount =
      request.amount.has_value()
          ? *request.amount == stored.amount && request.currency == order.currency
          : stored.last && (left == 0 || (order.state == State::kRefunding && left == stored.amount));
  if (same_amount && request.return_stock == stored.return_stock) return absl::OkStatus();
  return errors::Make(StatusCode::kAlreadyExists, "REFUND_MISMATCH",
                      "refund_id: was used with another amount or return of stock", {{"field", "refund_id"}});
}

absl::Status CheckState(State state) {
  switch (state) {
    case State::kPaid:
    case State::kPartiallyRefunded:
      return absl::OkStatus();
    case State::kRefunding:
      return OrderBusy();
    case State::kRefunded:
      return errors::Make(StatusCode::kFailedPrecondition, "ORDER_REFUNDED", "all of the order's money is back");
    default:
      return errors::Make(StatusCode::kFailedPrecondition, "ORDER_NOT_PAID", "only a paid order can be refunded");
  }
}

// What is to go back now.
absl::StatusOr<Refund> Decide(const RefundRequest& request, const Order& order) {
  if (absl::Status status = CheckState(order.state); !status.ok()) return status;
  const std::int64_t left = order.total - order.refunded;
  if (request.amount.has_value()) {
    if (request.currency != order.currency) {
      return errors::Make(StatusCode::kInvalidArgument, "CURRENCY_MISMATCH", "amount: the order is in another currency",
                          {{"field", "amount.currency_code"}});
    }
    if (*request.amount > left) {
      return errors::Make(StatusCode::kFailedPrecondition, "REFUND_EXCEEDS_PAID", "amount: less than that is left",
                          {{"field", "amount.minor_units"}});
    }
  }
  const Refund refund{request.refund_id, request.amount.value_or(left), request.return_stock};
  if (refund.return_stock && refund.amount < left) {
    return errors::Make(StatusCode::kFailedPrecondition, "STOCK_RETURN_NEEDS_FULL_REFUND",
                        "return_stock: goods come back only with the last of the money", {{"field", "return_stock"}});
  }
  return refund;
}

saga::Record MakeRecord(const Order& order, const Refund& refund, const std::string& traceparent) {
  v1::RefundSaga data;
  *data.mutable_order() = ToProto(order);
  data.set_refund_id(refund.refund_id);
  data.set_amount(refund.amount);
  data.set_return_stock(refund.return_stock);
  saga::Record record;
  record.id = order.order_id;
  record.type = kRefund;
  record.data = data.SerializeAsString();
  record.traceparent = traceparent;
  // An order has one refund after the other under one key: a fence of the one must not hold for the next.
  record.fence = order.version << 32;
  return record;
}

absl::StatusOr<v1::RefundSaga> DataOf(const std::string& bytes) {
  v1::RefundSaga data;
  if (!data.ParseFromString(bytes)) return absl::InternalError("a saga's data are not a refund");
  return data;
}

}  // namespace

absl::StatusOr<Order> EndOfRefund(const std::string& data) {
  const absl::StatusOr<v1::RefundSaga> refund = DataOf(data);
  if (!refund.ok()) return refund.status();
  Order order = FromProto(refund->order());
  order.refunded += refund->amount();
  order.state = order.refunded == order.total ? State::kRefunded : State::kPartiallyRefunded;
  return order;
}

async::Task<absl::StatusOr<Order>> RefundFlow::Refund(RefundRequest request, absl::Time deadline,
                                                      std::string traceparent) {
  const auto ticket = hub_.Register(request.key.order_id);
  for (int attempt = 0; attempt < 3; ++attempt) {
    // The order first: a refund that begins in between changes its version, so a stale look comes to nothing.
    absl::StatusOr<Order> order = co_await flow_.Read(request.key);
    if (!order.ok()) co_return order.status();
    const absl::StatusOr<std::optional<order::Refund>> stored =
        co_await orders_.ReadRefund({request.key, request.refund_id});
    if (!stored.ok()) co_return Retryable(stored.status());
    if (stored->has_value()) {
      order = co_await flow_.Read(request.key);
      if (!order.ok()) co_return order.status();
      if (absl::Status status = CheckRepeat(request, **stored, *order); !status.ok()) co_return status;
      co_return co_await flow_.Settle(*ticket, *std::move(order), deadline);
    }
    const absl::StatusOr<order::Refund> refund = Decide(request, *order);
    if (!refund.ok()) co_return refund.status();

    Order refunding = Advance(*std::move(order), State::kRefunding, clock_.Now());
    const saga::Record record = MakeRecord(refunding, *refund, traceparent);
    const absl::StatusOr<ChangeResult> changed =
        co_await orders_.Apply({refunding, EventOf(refunding, traceparent), record, Change::Saga::kBegins, *refund});
    if (!changed.ok()) co_return Retryable(changed.status());
    if (*changed == ChangeResult::kStale) continue;
    hub_.Publish(refunding);
    flow_.Run(record);
    co_return co_await flow_.Settle(*ticket, std::move(refunding), deadline);
  }
  co_return OrderBusy();
}

saga::Definition RefundFlow::Saga(Participants& participants, SagaEnd& end) {
  using saga::Context;
  saga::Definition saga;
  saga.type = kRefund;
  // What is left was checked when the refund began, so it only goes forward: whatever refuses it now is retried, then
  // parked, and goes on from there once an operator has mended it.
  saga.steps.push_back({.name = "begun", .pivot = true});
  saga.steps.push_back({.name = "refund", .action = [&participants](Context& c) -> async::Task<absl::Status> {
                          const absl::StatusOr<v1::RefundSaga> data = DataOf(c.record.data);
                          if (!data.ok()) co_return data.status();
                          const Order order = FromProto(data->order());
                          co_return co_await participants.RefundPart(order, data->refund_id(), data->amount(),
                                                                     c.deadline);
                        }});
  saga.steps.push_back({.name = "return_stock", .action = [&participants](Context& c) -> async::Task<absl::Status> {
                          const absl::StatusOr<v1::RefundSaga> data = DataOf(c.record.data);
                          if (!data.ok()) co_return data.status();
                          if (!data->return_stock()) co_return absl::OkStatus();
                          co_return co_await participants.Release(c.record.id, true, c.deadline);
                        }});
  saga.finish_forward = [&end](Context& c) -> async::Task<absl::Status> {
    const absl::StatusOr<Order> ended = EndOfRefund(c.record.data);
    if (!ended.ok()) co_return ended.status();
    co_return co_await end.Commit(c, *ended, ended->state);
  };
  // Of records that an older build has turned back.
  saga.finish_compensated = [](Context&) -> async::Task<absl::Status> {
    co_return absl::InternalError("the refund of a paid order was refused");
  };
  return saga;
}

}  // namespace flotilla::order
