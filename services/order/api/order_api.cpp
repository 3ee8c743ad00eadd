#include "order/api/order_api.h"

#include <algorithm>
#include <memory>

#include "absl/time/clock.h"
#include "order/api/parse.h"
#include "order/codec/codec.h"
#include "telemetry/metrics.h"

namespace flotilla::order {
namespace {

// A slow order is answered with the state reached so far.
constexpr absl::Duration kLongestAnswer = absl::Seconds(5);
constexpr absl::Duration kReplyMargin = absl::Milliseconds(50);

// How soon a watch notices that its client has gone.
constexpr absl::Duration kWatchTurn = absl::Seconds(1);

prometheus::Counter& Answered(const char* outcome) {
  return telemetry::Counter("flotilla_orders_total",
                            "Orders asked for, by outcome: refused is the caller's affair, failed is ours",
                            {{"outcome", outcome}});
}

}  // namespace

OrderApi::OrderApi(rpc::Server& server, OrderFlow& flow, RefundFlow& refunds, Orders& orders, OrderHub& hub)
    : flow_(flow),
      refunds_(refunds),
      orders_(orders),
      hub_(hub),
      paid_(Answered("paid")),
      cancelled_(Answered("cancelled")),
      awaiting_(Answered("awaiting_payment")),
      unsettled_(Answered("unsettled")),
      refused_(Answered("refused")),
      failed_(Answered("failed")) {
  using Service = v1::OrderService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestCreateOrder, "flotilla.order.v1.OrderService/CreateOrder", &OrderApi::CreateOrder);
  add(&Service::RequestBatchCreateOrders, "flotilla.order.v1.OrderService/BatchCreateOrders",
      &OrderApi::BatchCreateOrders);
  add(&Service::RequestGetOrder, "flotilla.order.v1.OrderService/GetOrder", &OrderApi::GetOrder);
  add(&Service::RequestListOrders, "flotilla.order.v1.OrderService/ListOrders", &OrderApi::ListOrders);
  add(&Service::RequestCancelOrder, "flotilla.order.v1.OrderService/CancelOrder", &OrderApi::CancelOrder);
  add(&Service::RequestRefundOrder, "flotilla.order.v1.OrderService/RefundOrder", &OrderApi::RefundOrder);
  server.ServerStreaming(
      service.get(), &Service::RequestWatchOrder, "flotilla.order.v1.OrderService/WatchOrder",
      [this](rpc::Call& call, const v1::WatchOrderRequest& request, rpc::ServerWriter<v1::WatchOrderResponse>& writer) {
        return WatchOrder(call, request, writer);
      });
  server.BidiStreaming(
      service.get(), &Service::RequestWatchOrders, "flotilla.order.v1.OrderService/WatchOrders",
      [this](rpc::Call& call, rpc::ServerReader<v1::WatchOrdersRequest>& reader,
             rpc::ServerWriter<v1::WatchOrdersResponse>& writer) { return WatchOrders(call, reader, writer); });
}

absl::Time OrderApi::AnswerBy(const rpc::Call& call) {
  return std::min(call.deadline - kReplyMargin, call.start + kLongestAnswer);
}

OrderApi::Reply<v1::GetOrderResponse> OrderApi::GetOrder(rpc::Call& call, const v1::GetOrderRequest& request) {
  absl::StatusOr<OrderKey> key = ParseKey(call.user_id, request.order_id());
  if (!key.ok()) co_return key.status();
  const absl::StatusOr<Order> order = co_await flow_.Read(*std::move(key));
  if (!order.ok()) co_return order.status();
  v1::GetOrderResponse response;
  *response.mutable_order() = ToProto(*order);
  co_return response;
}

OrderApi::Reply<v1::ListOrdersResponse> OrderApi::ListOrders(rpc::Call& call, const v1::ListOrdersRequest& request) {
  absl::StatusOr<ListQuery> query = Parse(call.user_id, request);
  if (!query.ok()) co_return query.status();
  const int page = query->limit;
  query->limit = page + 1;  // one more tells whether there is a next page
  absl::StatusOr<std::vector<Order>> orders = co_await orders_.List(*std::move(query));
  if (!orders.ok()) co_return orders.status();
  v1::ListOrdersResponse response;
  const std::size_t count = std::min(orders->size(), static_cast<std::size_t>(page));
  for (std::size_t i = 0; i < count; ++i) *response.add_orders() = ToProto((*orders)[i]);
  if (orders->size() > count) response.set_next_page_token(PageToken((*orders)[count - 1]));
  co_return response;
}

OrderApi::Reply<v1::CancelOrderResponse> OrderApi::CancelOrder(rpc::Call& call, const v1::CancelOrderRequest& request) {
  absl::StatusOr<OrderKey> key = ParseKey(call.user_id, request.order_id());
  if (!key.ok()) co_return key.status();
  const absl::StatusOr<Order> order = co_await flow_.Cancel(*std::move(key), AnswerBy(call), call.traceparent);
  if (!order.ok()) co_return order.status();
  v1::CancelOrderResponse response;
  *response.mutable_order() = ToProto(*order);
  co_return response;
}

OrderApi::Reply<v1::RefundOrderResponse> OrderApi::RefundOrder(rpc::Call& call, const v1::RefundOrderRequest& request) {
  absl::StatusOr<RefundRequest> refund = Parse(call.user_id, request);
  if (!refund.ok()) co_return refund.status();
  const absl::StatusOr<Order> order = co_await refunds_.Refund(*std::move(refund), AnswerBy(call), call.traceparent);
  if (!order.ok()) co_return order.status();
  v1::RefundOrderResponse response;
  *response.mutable_order() = ToProto(*order);
  co_return response;
}

async::Task<absl::Status> OrderApi::WatchOrder(rpc::Call& call, const v1::WatchOrderRequest& request,
                                               rpc::ServerWriter<v1::WatchOrderResponse>& writer) {
  absl::StatusOr<OrderKey> key = ParseKey(call.user_id, request.order_id());
  if (!key.ok()) co_return key.status();
  const auto ticket = hub_.Register(key->order_id);
  absl::StatusOr<Order> order = co_await flow_.Read(*std::move(key));
  if (!order.ok()) co_return order.status();
  for (std::int64_t sent = 0;;) {
    if (order->version > sent) {
      v1::WatchOrderResponse response;
      *response.mutable_order() = ToProto(*order);
      const bool written = co_await writer.Write(response);
      if (!written) co_return absl::CancelledError("the client has gone");
      sent = order->version;
    }
    if (Settled(order->state)) co_return absl::OkStatus();
    if (call.cancelled()) co_return absl::UnavailableError("the stream was cancelled or the server is stopping");
    order = co_await flow_.Next(*ticket, *std::move(order), absl::Now() + kWatchTurn);
    if (!order.ok()) co_return order.status();
  }
}

}  // namespace flotilla::order
