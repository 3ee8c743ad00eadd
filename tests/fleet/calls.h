// What clients do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "flotilla/order/v1/order_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::fleet {

struct Result {
  grpc::Status status;
  std::string reason = {};  // ErrorInfo reason
  std::string field = {};   // first BadRequest field
  order::v1::Order order = {};
  absl::Duration retry_delay = absl::ZeroDuration();  // of RetryInfo
};
// For the messages of tests: code, reason and text.
std::ostream& operator<<(std::ostream& out, const Result& result);

// CreateOrder and CancelOrder are written to the living fleet's log of calls, for the checker; without a fleet of this
// process to this file, which is complete when the process ends.
void LogCallsTo(const std::string& path);
// From now on every call brings a token of its user, signed with this key of deploy/local/dev-ca, and one of an
// operator where it has none. Throws where the file holds no key.
void SignCallsWith(const std::filesystem::path& token_key);
// With the authority of a folder that deploy/local/dev-ca has made; without TLS where it is empty.
std::shared_ptr<grpc::ChannelCredentials> ClientCredentials(const std::filesystem::path& identity);

// The services answer before, so that only a call without an answer meets it.
inline constexpr int kDefaultTimeoutMs = 20000;
using Items = std::vector<std::pair<std::string, std::int64_t>>;

order::v1::CreateOrderRequest MakeOrder(const std::string& key, const Items& items,
                                        order::v1::PaymentMethod method = order::v1::PAYMENT_METHOD_WALLET);
Result CreateOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                   const Items& items, int timeout_ms = kDefaultTimeoutMs,
                   order::v1::PaymentMethod method = order::v1::PAYMENT_METHOD_WALLET);
// As a client that wants to know how its order ends: asks again by the same key for a minute while the service cannot
// be reached, does not answer in time, or has only reserved. What was answered last.
Result PlaceOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                  const Items& items, order::v1::PaymentMethod method = order::v1::PAYMENT_METHOD_WALLET);
Result Send(order::v1::OrderService::Stub& stub, const std::string& user, const order::v1::CreateOrderRequest& request,
            int timeout_ms = kDefaultTimeoutMs);
Result CancelOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id);

struct Refund {
  std::string refund_id;
  std::int64_t amount = 0;  // 0: all that is left
  bool return_stock = false;
  std::string currency = "EUR";
  std::string owner = {};  // empty: the caller
};
Result RefundOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id,
                   const Refund& refund, int timeout_ms = kDefaultTimeoutMs);
Result GetOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id);
// The parts of an error that programs read.
Result Explain(const grpc::Status& status);
void SetCall(grpc::ClientContext& context, const std::string& user, int timeout_ms);

// Any unary call, as `user` (nobody where empty):
//   Call(*fleet.payments(), &PaymentService::Stub::Deposit, "", request, &response);
template <class Stub, class Request, class Response>
Result Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
            const std::string& user, const Request& request, Response* response, int timeout_ms = kDefaultTimeoutMs) {
  grpc::ClientContext context;
  SetCall(context, user, timeout_ms);
  return Explain((stub.*method)(&context, request, response));
}

}  // namespace flotilla::fleet
