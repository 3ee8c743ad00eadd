#include "order/workflow/saga_resolve.h"

#include <optional>

#include "errors/errors.h"
#include "order/codec/codec.h"
#include "order/store/order_lock.h"
#include "order/workflow/refund_flow.h"

namespace flotilla::order {

absl::Status MayResolve(postgres::Transaction& transaction, const saga::SagaKey& saga, const std::string& data) {
  const absl::StatusOr<Order> order = saga.type == kRefund ? OrderOfRefund(data) : Decode(data);
  if (!order.ok()) return order.status();
  const std::optional<State> state = LockState(transaction, {order->user_id, order->order_id});
  if (!state.has_value() || AtRest(*state)) return absl::OkStatus();
  return errors::Make(absl::StatusCode::kFailedPrecondition, "ORDER_NOT_AT_REST",
                      "only this saga can bring the order to its end: retry or compensate it");
}

}  // namespace flotilla::order
