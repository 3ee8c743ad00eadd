#include "order/workflow/saga_resolve.h"

#include <optional>

#include "errors/errors.h"
#include "order/codec/codec.h"
#include "order/store/order_by_hand.h"
#include "order/workflow/refund_flow.h"

namespace flotilla::order {
namespace {

constexpr char kResolvedReason[] = "RESOLVED_BY_OPERATOR";

absl::Status WrongEnd() {
  return errors::Make(absl::StatusCode::kFailedPrecondition, "WRONG_END_STATE",
                      "order_state: this saga cannot end the order there", {{"field", "order_state"}});
}

}  // namespace

absl::Status EndOrder(postgres::Transaction& transaction, const saga::SagaKey& saga, const std::string& data, int end) {
  const bool refund = saga.type == kRefund;
  const absl::StatusOr<Order> ended = refund ? EndOfRefund(data) : Decode(data);
  if (!ended.ok()) return ended.status();
  const std::optional<Order> order = Lock(transaction, {ended->user_id, ended->order_id});
  if (!order.has_value()) return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_ORDER", "the saga's order is gone");
  const State state = static_cast<State>(end);
  // In a database that was restored or mended by hand the order may stand there already.
  if (order->state == state && Settled(state)) return absl::OkStatus();
  if (!Settled(state) || !MayFollow(order->state, state)) return WrongEnd();
  if (refund && state != ended->state) return WrongEnd();
  Order after = Advance(*order, state, Now(transaction), state == State::kCancelled ? kResolvedReason : "");
  if (refund) after.refunded = ended->refunded;
  WriteState(transaction, after, EventOf(after, ""));
  return absl::OkStatus();
}

}  // namespace flotilla::order
