// The other services an order needs. Calls of many orders go together as batch RPCs; each is answered for itself.
// Only on a loop's thread. Retryable errors (saga.h) may come back where a service is away; the rest are refusals.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/task.h"
#include "batch/call_batcher.h"
#include "flotilla/inventory/v1/inventory_service.grpc.pb.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"
#include "order/domain/order.h"
#include "rpc/client.h"

namespace flotilla::order {

// Stock on hold, with the prices that were fixed.
struct Reservation {
  std::vector<Line> lines;
  std::string currency;
};

// The answer that says no more than that it was done.
struct Done {};

class Participants {
 public:
  Participants(std::shared_ptr<rpc::ChannelPool> inventory, std::shared_ptr<rpc::ChannelPool> payment,
               absl::Duration hold);

  // The call is given up at `deadline`. The hold outlasts order.pay_by, where there is one; `now` is by the same clock.
  async::Task<absl::StatusOr<Reservation>> Reserve(const Order& order, absl::Time now, absl::Time deadline);
  async::Task<absl::Status> Confirm(std::string order_id, absl::Time deadline);
  // `return_sold`: also a confirmed sale is taken back.
  async::Task<absl::Status> Release(std::string order_id, bool return_sold, absl::Time deadline);
  async::Task<absl::Status> Charge(const Order& order, absl::Time deadline);
  // All that is left, also of an order that was never charged, or that the provider has still to speak of.
  async::Task<absl::Status> Refund(std::string order_id, absl::Time deadline);
  async::Task<absl::Status> RefundPart(const Order& order, std::string refund_id, std::int64_t amount,
                                       absl::Time deadline);
  // What became of payments by the external provider, of 1 to 1,000 orders.
  async::Task<absl::StatusOr<payment::v1::BatchGetPaymentsResponse>> GetPayments(std::vector<std::string> order_ids);
  // Expects the external provider's word; its reference for the payment.
  async::Task<absl::StatusOr<std::string>> CreatePayment(const Order& order, absl::Time deadline);

 private:
  template <class Request>
  struct Timed {
    Request request;
    absl::Time deadline;
  };
  template <class Request, class Response>
  using Batcher = batch::CallBatcher<Timed<Request>, Response>;

  rpc::Client<inventory::v1::InventoryService> inventory_;
  rpc::Client<payment::v1::PaymentService> payment_;
  const absl::Duration hold_;
  Batcher<inventory::v1::ReserveRequest, Reservation> reserve_;
  Batcher<std::string, Done> confirm_;
  Batcher<inventory::v1::ReleaseRequest, Done> release_;
  Batcher<payment::v1::ChargeRequest, Done> charge_;
  Batcher<payment::v1::RefundRequest, Done> refund_;
};

}  // namespace flotilla::order
