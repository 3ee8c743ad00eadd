#include "fleet/calls.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>

#include "absl/time/clock.h"
#include "fleet/call_log.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "identity/signer.h"
#include "testing/eventually.h"
#include "testing/status.h"
#include "timestamp/timestamp.h"

namespace flotilla::fleet {
namespace {

using order::v1::OrderService;

void Log(const CallLog::Fields& call, const Result& result) {
  if (!result.status.ok()) return Calls().Answered(call, result.status, {{"reason", result.reason}});
  Calls().Answered(
      call, result.status,
      {{"order_id", result.order.order_id()}, {"state", order::v1::OrderState_Name(result.order.state())}});
}

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Tokens by user. A signature costs a millisecond of RSA, so each is made once.
class Tokens {
 public:
  explicit Tokens(identity::Signer signer) : signer_(std::move(signer)) {}
  std::string Of(const std::string& user) {
    const std::lock_guard lock(mutex_);
    std::string& token = tokens_[user];
    if (token.empty()) {
      const absl::Time now = absl::Now();
      token = signer_.Sign(identity::ToClaims({.issuer = identity::kDevelopmentIssuer,
                                               .audience = identity::kDevelopmentAudience,
                                               .user = user.empty() ? "operator" : user,
                                               .role = user.empty() ? "operator" : "",
                                               .now = now,
                                               .expires = now + absl::Hours(12)}));
    }
    return token;
  }

 private:
  const identity::Signer signer_;
  std::mutex mutex_;
  std::map<std::string, std::string> tokens_;
};

std::unique_ptr<Tokens> tokens;

}  // namespace

std::ostream& operator<<(std::ostream& out, const Result& result) {
  return out << "code " << result.status.error_code() << " " << result.reason << ": " << result.status.error_message();
}

void SignCallsWith(const std::filesystem::path& token_key) {
  absl::StatusOr<identity::Signer> signer = identity::Signer::FromPem(Read(token_key));
  if (!signer.ok()) throw std::runtime_error(token_key.string() + ": " + std::string(signer.status().message()));
  tokens = std::make_unique<Tokens>(*std::move(signer));
}

std::shared_ptr<grpc::ChannelCredentials> ClientCredentials(const std::filesystem::path& identity) {
  if (identity.empty()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials(
      {.pem_root_certs = Read(identity / "ca.crt"), .pem_private_key = {}, .pem_cert_chain = {}});
}

void LogCallsTo(const std::string& path) {
  Calls().Open(path);
  std::atexit([] { Calls().Flush(); });
}

void SetCall(grpc::ClientContext& context, const std::string& user, int timeout_ms) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  context.set_wait_for_ready(true);  // a blocking client connects only while a call waits
  if (tokens != nullptr) {
    context.AddMetadata("authorization", "Bearer " + tokens->Of(user));
  } else if (!user.empty()) {
    context.AddMetadata("flotilla-user", user);
  }
}

Result Explain(const grpc::Status& status) {
  Result result{.status = status};
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;
  result.field = Field(details);
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) result.reason = info.reason();
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&retry)) result.retry_delay = timestamp::FromProto(retry.retry_delay());
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

order::v1::CreateOrderRequest MakeOrder(const std::string& key, const Items& items, order::v1::PaymentMethod method) {
  order::v1::CreateOrderRequest request;
  request.set_idempotency_key(key);
  request.set_payment_method(method);
  for (const auto& [sku, quantity] : items) {
    auto* item = request.add_items();
    item->set_sku(sku);
    item->set_quantity(quantity);
  }
  return request;
}

Result CreateOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                   const Items& items, int timeout_ms, order::v1::PaymentMethod method) {
  return Send(stub, user, MakeOrder(key, items, method), timeout_ms);
}

Result PlaceOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                  const Items& items, order::v1::PaymentMethod method) {
  Result result;
  const auto ended = [&] {
    result = CreateOrder(stub, user, key, items, kDefaultTimeoutMs, method);
    const auto code = result.status.error_code();
    return code != grpc::StatusCode::UNAVAILABLE && code != grpc::StatusCode::DEADLINE_EXCEEDED &&
           (code != grpc::StatusCode::OK || result.order.state() != order::v1::ORDER_STATE_RESERVED);
  };
  Eventually(ended, absl::Minutes(1));
  return result;
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
  request.set_user_id(refund.owner);
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
