#include "order/workflow/saga_end.h"

#include <utility>

#include "errors/errors.h"
#include "order/codec/codec.h"

namespace flotilla::order {

async::Task<absl::Status> SagaEnd::Commit(saga::Context& context, Order before, State state, std::string reason) {
  const Order order = Advance(std::move(before), state, clock_.Now(), std::move(reason));
  const absl::StatusOr<ChangeResult> changed =
      co_await orders_.Apply({order, EventOf(order, context.record.traceparent), context.record, Change::Saga::kEnds});
  if (!changed.ok()) co_return changed.status();
  if (*changed == ChangeResult::kStale) co_return co_await EndedSo(order);
  if (*changed == ChangeResult::kConflict) {
    co_return errors::Make(absl::StatusCode::kFailedPrecondition, "ORDER_CHANGED",
                           "the order is not as its saga left it");
  }
  hub_.Publish(order);
  co_return absl::OkStatus();
}

// The record is gone: by this end itself, where the answer to an earlier attempt's commit was lost, or by another
// owner.
async::Task<absl::Status> SagaEnd::EndedSo(const Order& order) {
  const absl::StatusOr<std::optional<Order>> stored = co_await orders_.Read({order.user_id, order.order_id});
  if (!stored.ok()) co_return stored.status();
  if (!stored->has_value() || (*stored)->version != order.version || (*stored)->state != order.state) {
    co_return saga::Lost();
  }
  hub_.Publish(**stored);
  co_return absl::OkStatus();
}

async::Task<absl::Status> SagaEnd::Finish(saga::Context& context, State state, std::string reason) {
  absl::StatusOr<Order> before = Decode(context.record.data);
  if (!before.ok()) co_return before.status();
  co_return co_await Commit(context, *std::move(before), state, std::move(reason));
}

}  // namespace flotilla::order
