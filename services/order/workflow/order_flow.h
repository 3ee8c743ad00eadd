// The ways of an order: create and cancel, each a saga (see libs/saga). Only on a loop's thread, except Start and Stop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "order/domain/order.h"
#include "order/store/orders.h"
#include "order/workflow/order_hub.h"
#include "order/workflow/participants.h"
#include "order/workflow/saga_end.h"
#include "postgres/database_clock.h"
#include "saga/saga.h"

namespace flotilla::order {

// The type of the saga that cancels a paid order, or one that awaits payment.
inline constexpr char kCancel[] = "cancel";

// The record of a saga whose data are the order.
saga::Record MakeRecord(const char* type, const Order& order, const std::string& traceparent);
// NOT_FOUND (UNKNOWN_ORDER), also for another user's.
absl::Status UnknownOrder();
// ABORTED (ORDER_BUSY).
absl::Status OrderBusy();
// A commit whose answer was lost becomes UNAVAILABLE: the client asks again with the same key and learns what became of
// it.
absl::Status Retryable(const absl::Status& status);

class OrderFlow {
 public:
  // The references outlive the flow. `clock` dates everything, deadlines of payment among it; `payment_window`: how
  // long an external payment may take.
  OrderFlow(saga::EngineOptions options, Orders& orders, Participants& participants, OrderHub& hub,
            const postgres::DatabaseClock& clock, absl::Duration payment_window);

  // Recovers orphaned sagas on these executors, the server's loops.
  void Start(std::vector<async::Executor*> executors);
  // Takes no more orphans; waits a moment for running sagas.
  void Stop();

  // Takes an order. `draft` has its id, user, key, body hash, payment method and lines without prices. Answers with its
  // final state, or at `deadline` with the state reached so far. Errors: inventory's refusals (see its Reserve),
  // ALREADY_EXISTS (IDEMPOTENCY_KEY_REUSED), INVALID_ARGUMENT where the total is beyond kMaxTotal, RESOURCE_EXHAUSTED
  // (TOO_MANY_OPEN_ORDERS) where the engine is full, UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Create(Order draft, absl::Time deadline, std::string traceparent);
  // NOT_FOUND (UNKNOWN_ORDER), ABORTED (ORDER_BUSY), FAILED_PRECONDITION (ORDER_REFUNDED), UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Cancel(OrderKey key, absl::Time deadline, std::string traceparent);
  // NOT_FOUND (UNKNOWN_ORDER), UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Read(OrderKey key);
  // The order's next version, from this instance or another; the same version after `deadline`.
  async::Task<absl::StatusOr<Order>> Next(OrderHub::Ticket& ticket, Order latest, absl::Time deadline);

  // The order when it is at rest, or as it stands at `deadline`.
  async::Task<absl::StatusOr<Order>> Settle(OrderHub::Ticket& ticket, Order order, absl::Time deadline);
  // Runs a saga that was just begun, beside the caller.
  void Run(saga::Record record);

 private:
  async::Task<absl::StatusOr<Order>> Stored(Order draft, absl::Status refusal, absl::Time deadline);
  async::Task<void> RunSaga(saga::Record record);
  saga::Definition CreateSaga();
  saga::Definition CancelSaga();

  Orders& orders_;
  Participants& participants_;
  OrderHub& hub_;
  SagaEnd end_;
  const postgres::DatabaseClock& clock_;
  const absl::Duration payment_window_;
  saga::Engine engine_;
};

}  // namespace flotilla::order
