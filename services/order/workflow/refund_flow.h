// Refunds of paid orders, in full or in part: PAID -> REFUNDING -> REFUNDED | PARTIALLY_REFUNDED. Only on a loop's
// thread.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "order/store/orders.h"
#include "order/workflow/order_flow.h"
#include "order/workflow/participants.h"
#include "order/workflow/saga_end.h"
#include "postgres/database_clock.h"
#include "saga/saga.h"

namespace flotilla::order {

// The type of the saga.
inline constexpr char kRefund[] = "refund";

// The order as the refund of this record leaves it: its state and what is refunded by then; its version is still that
// of REFUNDING. INTERNAL where the bytes are none.
absl::StatusOr<Order> EndOfRefund(const std::string& data);

// What the caller asks for.
struct RefundRequest {
  OrderKey key;
  std::string refund_id;
  std::optional<std::int64_t> amount = {};  // absent: all that was not refunded yet
  std::string currency = {};                // of the amount
  bool return_stock = false;
};

class RefundFlow {
 public:
  // The references outlive it.
  RefundFlow(OrderFlow& flow, Orders& orders, OrderHub& hub, const postgres::DatabaseClock& clock)
      : flow_(flow), orders_(orders), hub_(hub), clock_(clock) {}

  // Answers with the final state, or at `deadline` with REFUNDING. Errors as of OrderService.RefundOrder, and
  // UNAVAILABLE.
  async::Task<absl::StatusOr<Order>> Refund(RefundRequest request, absl::Time deadline, std::string traceparent);

  // Only forward: money first, then stock.
  static saga::Definition Saga(Participants& participants, SagaEnd& end);

 private:
  OrderFlow& flow_;
  Orders& orders_;
  OrderHub& hub_;
  const postgres::DatabaseClock& clock_;
};

}  // namespace flotilla::order
