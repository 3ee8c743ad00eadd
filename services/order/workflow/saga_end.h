// The last commit of an order's saga: the order's new state, its event and the record's end.
#pragma once

#include <string>

#include "async/task.h"
#include "order/domain/order.h"
#include "order/store/orders.h"
#include "order/workflow/order_hub.h"
#include "postgres/database_clock.h"
#include "saga/saga.h"

namespace flotilla::order {

class SagaEnd {
 public:
  // The references outlive it.
  SagaEnd(Orders& orders, OrderHub& hub, const postgres::DatabaseClock& clock)
      : orders_(orders), hub_(hub), clock_(clock) {}

  // Advances the order to `state`. saga::Lost() where another owner has the saga.
  async::Task<absl::Status> Commit(saga::Context& context, Order before, State state, std::string reason = {});
  // The same with the order that the record holds.
  async::Task<absl::Status> Finish(saga::Context& context, State state, std::string reason);

 private:
  async::Task<absl::Status> EndedSo(const Order& order);

  Orders& orders_;
  OrderHub& hub_;
  const postgres::DatabaseClock& clock_;
};

}  // namespace flotilla::order
