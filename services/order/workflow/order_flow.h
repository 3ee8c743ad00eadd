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
#include "saga/saga.h"

namespace flotilla::order {

class OrderFlow {
 public:
  // The references outlive the flow.
  OrderFlow(saga::EngineOptions options, Orders& orders, Participants& participants, OrderHub& hub);

  // Recovers orphaned sagas on these executors, the server's loops.
  void Start(std::vector<async::Executor*> executors);
  // Takes no more orphans; waits a moment for running sagas.
  void Stop();

  // Takes an order. `draft` has its id, user, key, body hash and lines without prices. Answers with its final state, or
  // at `deadline` with the state reached so far. Errors: inventory's refusals (see its Reserve), ALREADY_EXISTS
  // (IDEMPOTENCY_KEY_REUSED), INVALID_ARGUMENT where the total is beyond int64, UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Create(Order draft, absl::Time deadline, std::string traceparent);
  // NOT_FOUND (UNKNOWN_ORDER), ABORTED (ORDER_BUSY), UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Cancel(OrderKey key, absl::Time deadline, std::string traceparent);
  // NOT_FOUND (UNKNOWN_ORDER), UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Read(OrderKey key);
  // The order's next version, from this instance or another; the same version after `deadline`.
  async::Task<absl::StatusOr<Order>> Next(OrderHub::Ticket& ticket, Order latest, absl::Time deadline);

 private:
  async::Task<absl::StatusOr<Order>> Stored(Order draft, absl::Status refusal, absl::Time deadline);
  async::Task<absl::StatusOr<Order>> Settle(OrderHub::Ticket& ticket, Order order, absl::Time deadline);
  async::Task<void> RunSaga(saga::Record record);
  async::Task<absl::Status> Finish(saga::Context& context, State state, std::string reason);
  saga::Definition CreateSaga();
  saga::Definition CancelSaga();

  Orders& orders_;
  Participants& participants_;
  OrderHub& hub_;
  saga::Engine engine_;
};

}  // namespace flotilla::order
