// The last commit of an order's saga: the order's new state, its event and the record's end.
#pragma once

#include <string>

#include "async/task.h"
#include "order/domain/order.h"
#include "order/store/orders.h"
#include "order/workflow/order_hub.h"
#include "saga/saga.h"

namespace flotilla::order {

class SagaEnd {
 public:
  // The references outlive it.
  SagaEnd(Orders& orders, OrderHub& hub) : orders_(orders), hub_(hub) {}

  // `order` as it stands afterwards. saga::Lost() where another owner has the saga.
  async::Task<absl::Status> Commit(saga::Context& context, Order order);
  // The order that the record holds, advanced.
  async::Task<absl::Status> Finish(saga::Context& context, State state, std::string reason);

 private:
  Orders& orders_;
  OrderHub& hub_;
};

}  // namespace flotilla::order
