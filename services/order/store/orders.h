// Orders for coroutines: requests gather while a transaction is in flight and go together in the next one. Only on an
// executor's thread; resumes there. Errors as in order_store.h, and RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "batch/worker_batcher.h"
#include "order/store/order_store.h"

namespace flotilla::order {

class Orders {
 public:
  // `committed` is called after every transaction that wrote events, on a worker's thread.
  Orders(const postgres::Options& postgres, const std::string& saga_owner, absl::Duration saga_lease,
         const std::function<void()>& committed);

  async::Task<absl::StatusOr<Placed>> Place(Placement placement) { return place_.Call(std::move(placement)); }
  async::Task<absl::StatusOr<ChangeResult>> Apply(Change change) { return change_.Call(std::move(change)); }
  async::Task<absl::StatusOr<std::optional<Order>>> Read(OrderKey key) { return read_.Call(std::move(key)); }
  async::Task<absl::StatusOr<std::optional<Refund>>> ReadRefund(RefundKey key) { return refund_.Call(std::move(key)); }
  async::Task<absl::StatusOr<std::vector<Order>>> List(ListQuery query) { return list_.Call(std::move(query)); }

 private:
  // One worker each: a second one would halve the batches and double the commits.
  batch::WorkerBatcher<Placement, Placed> place_;
  batch::WorkerBatcher<Change, ChangeResult> change_;
  batch::WorkerBatcher<OrderKey, std::optional<Order>> read_;
  batch::WorkerBatcher<RefundKey, std::optional<Refund>> refund_;
  batch::WorkerBatcher<ListQuery, std::vector<Order>> list_;
};

}  // namespace flotilla::order
