// flotilla.order.v1.OrderService: proto <-> domain, validation, status.
#pragma once

#include <atomic>

#include "async/task.h"
#include "flotilla/order/v1/order_service.grpc.pb.h"
#include "order/store/orders.h"
#include "order/workflow/order_flow.h"
#include "order/workflow/refund_flow.h"
#include "prometheus/counter.h"
#include "rpc/server.h"

namespace flotilla::order {

class OrderApi {
 public:
  // Adds the service to `server`. The references outlive it.
  OrderApi(rpc::Server& server, OrderFlow& flow, RefundFlow& refunds, Orders& orders, OrderHub& hub);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  // When an order is answered as it stands, before the client gives up.
  static absl::Time AnswerBy(const rpc::Call& call);

  // In create_orders.cpp. Create counts what is answered.
  async::Task<absl::StatusOr<Order>> Create(const rpc::Call& call, Order draft, absl::Time answer_by);
  Reply<v1::CreateOrderResponse> CreateOrder(rpc::Call& call, const v1::CreateOrderRequest& request);
  Reply<v1::BatchCreateOrdersResponse> BatchCreateOrders(rpc::Call& call, const v1::BatchCreateOrdersRequest& request);

  Reply<v1::GetOrderResponse> GetOrder(rpc::Call& call, const v1::GetOrderRequest& request);
  Reply<v1::ListOrdersResponse> ListOrders(rpc::Call& call, const v1::ListOrdersRequest& request);
  Reply<v1::CancelOrderResponse> CancelOrder(rpc::Call& call, const v1::CancelOrderRequest& request);
  Reply<v1::RefundOrderResponse> RefundOrder(rpc::Call& call, const v1::RefundOrderRequest& request);
  async::Task<absl::Status> WatchOrder(rpc::Call& call, const v1::WatchOrderRequest& request,
                                       rpc::ServerWriter<v1::WatchOrderResponse>& writer);
  // In watch_orders.cpp.
  async::Task<absl::Status> WatchOrders(rpc::Call& call, rpc::ServerReader<v1::WatchOrdersRequest>& reader,
                                        rpc::ServerWriter<v1::WatchOrdersResponse>& writer);

  OrderFlow& flow_;
  RefundFlow& refunds_;
  Orders& orders_;
  OrderHub& hub_;
  prometheus::Counter& paid_;
  prometheus::Counter& cancelled_;
  prometheus::Counter& awaiting_;
  prometheus::Counter& unsettled_;
  prometheus::Counter& refused_;
  prometheus::Counter& failed_;
  std::atomic<int> gathered_ = 0;  // orders of batches that are under way
};

}  // namespace flotilla::order
