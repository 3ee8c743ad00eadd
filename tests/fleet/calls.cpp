#include "fleet/calls.h"

#include <chrono>
#include <cstdlib>

#include "fleet/call_log.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "testing/status.h"

namespace flotilla::fleet {
namespace {

using order::v1::OrderService;

void Log(const CallLog::Fields& call, const Result& result) {
  if (!result.status.ok()) return Calls().Answered(call, result.status, {{"reason", result.reason}});
  Calls().Answered(
      call, result.status,
      {{"order_id", result.order.order_id()}, {"state", order::v1::OrderState_Name(result.order.state())}});
}

}  // namespace

void LogCallsTo(const std::string& path) {
  Calls().Open(path);
  std::atexit([] { Calls().Flush(); });
}

void SetCall(grpc::ClientContext& context, const std::string& user, int timeout_ms) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  context.set_wait_for_ready(true);  // a blocking client connects only while a call waits
  if (!user.empty()) context.AddMetadata("flotilla-user", user);
}

Result Explain(const grpc::Status& status) {
  Result result{status, "", "", {}};
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;
  result.field = Field(details);
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) result.reason = info.reason();
  }
  return result;
}

Result Send(order::v1::OrderService::Stub& stub, const std::string& user, const order::v1::CreateOrderRequest& request,
            int timeout_ms) {
  order::v1::CreateOrderRequest body = request;
  body.clear_idempotency_key();
  const CallLog::Fields call = {
      {"op", "create_order"}, {"user", user}, {"key", request.idempotency_key()}, {"body", body.ShortDebugString()}};
  Calls().Invoked(call);
  order::v1::CreateOrderResponse response;
  Result result = Call(stub, &OrderService::Stub::CreateOrder, user, request, &response, timeout_ms);
  result.order = response.order();
  Log(call, result);
  return result;
}

Result CreateOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                   const Items& items, int timeout_ms, order::v1::PaymentMethod method) {
  order::v1::CreateOrderRequest request;
  request.set_idempotency_key(key);
  request.set_payment_method(method);
  for (const auto& [sku, quantity] : items) {
    auto* item = request.add_items();
    item->set_sku(sku);
    item->set_quantity(quantity);
  }
  return Send(stub, user, request, timeout_ms);
}

Result CancelOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id) {
  order::v1::CancelOrderRequest request;
  request.set_order_id(order_id);
  const CallLog::Fields call = {{"op", "cancel_order"}, {"user", user}, {"order_id", order_id}};
  Calls().Invoked(call);
  order::v1::CancelOrderResponse response;
  Result result = Call(stub, &OrderService::Stub::CancelOrder, user, request, &response);
  result.order = response.order();
  Log(call, result);
  return result;
}

Result RefundOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id,
                   const Refund& refund, int timeout_ms) {
  order::v1::RefundOrderRequest request;
  request.set_order_id(order_id);
  request.set_refund_id(refund.refund_id);
  request.set_return_stock(refund.return_stock);
  if (refund.amount > 0) {
    request.mutable_amount()->set_minor_units(refund.amount);
    request.mutable_amount()->set_currency_code(refund.currency);
  }
  order::v1::RefundOrderResponse response;
  Result result = Call(stub, &OrderService::Stub::RefundOrder, user, request, &response, timeout_ms);
  result.order = response.order();
  return result;
}

Result GetOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id) {
  order::v1::GetOrderRequest request;
  request.set_order_id(order_id);
  order::v1::GetOrderResponse response;
  Result result = Call(stub, &OrderService::Stub::GetOrder, user, request, &response);
  result.order = response.order();
  return result;
}

}  // namespace flotilla::fleet
