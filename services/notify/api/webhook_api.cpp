#include "notify/api/webhook_api.h"

#include <openssl/rand.h>

#include <algorithm>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "errors/errors.h"
#include "notify/api/convert.h"
#include "notify/webhook/signature.h"
#include "notify/webhook/url.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

constexpr char kTokenMark[] = "w";
constexpr std::int64_t kDaySeconds = 86'400;

absl::Status Unknown(const char* reason, const char* field) {
  return errors::Make(absl::StatusCode::kNotFound, reason, absl::StrCat(field, ": you have no such one"),
                      {{"field", field}});
}

absl::Status CheckEndpoint(const std::string& user_id, const std::string& endpoint_id) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (!validation::IsUuid(endpoint_id)) return errors::InvalidField("endpoint_id", validation::kUuidRule);
  return absl::OkStatus();
}

// A random UUID (version 4).
absl::StatusOr<std::string> NewUuid() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return absl::InternalError("no random bytes");
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string text = absl::BytesToHexString({reinterpret_cast<const char*>(bytes), sizeof(bytes)});
  for (const std::size_t at : {8, 13, 18, 23}) text.insert(at, "-");
  return text;
}

absl::StatusOr<EndpointStore::LogQuery> Parse(const std::string& user_id, const v1::ListDeliveriesRequest& request) {
  if (auto status = CheckEndpoint(user_id, request.endpoint_id()); !status.ok()) return status;
  const absl::StatusOr<int> limit = validation::PageSize(request.page_size());
  if (!limit.ok()) return limit.status();
  if (!v1::DeliveryState_IsValid(request.state())) {
    return errors::InvalidField("state", "must be a state this service knows");
  }
  EndpointStore::LogQuery query{
      .user_id = user_id, .endpoint_id = request.endpoint_id(), .limit = *limit, .state = request.state()};
  const std::string& token = request.page_token();
  if (!token.empty() &&
      (!token.starts_with(kTokenMark) || !absl::SimpleAtoi(token.substr(1), &query.before) || query.before < 1)) {
    return validation::ForeignToken();
  }
  return query;
}

void Fill(const Endpoint& endpoint, v1::Endpoint* proto) {
  proto->set_endpoint_id(endpoint.endpoint_id);
  proto->set_url(endpoint.url);
  for (const std::string& type : endpoint.event_types) proto->add_event_types(type);
  proto->set_enabled(endpoint.enabled);
  proto->set_disabled_reason(endpoint.disabled_reason);
  Set(endpoint.created_at, proto->mutable_create_time());
}

void Fill(const Delivery& delivery, v1::Delivery* proto) {
  proto->set_delivery_id(delivery.delivery_id);
  proto->set_event_id(delivery.event_id);
  proto->set_type(delivery.type);
  proto->set_state(static_cast<v1::DeliveryState>(delivery.state));
  proto->set_attempts(delivery.attempts);
  proto->set_last_http_status(delivery.last.http_status);
  proto->set_last_error(delivery.last.error);
  proto->set_last_duration_ms(absl::ToInt64Milliseconds(delivery.last.duration));
  Set(delivery.created_at, proto->mutable_create_time());
  if (delivery.state == DeliveryState::kPending) Set(delivery.next_at, proto->mutable_next_attempt_time());
}

}  // namespace

WebhookApi::WebhookApi(rpc::Server& server, StoreCalls& stores, bool allow_private)
    : stores_(stores), allow_private_(allow_private) {
  using Service = v1::WebhookService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const std::string& method, auto handler) {
    server.Unary(service.get(), requester, "flotilla.notify.v1.WebhookService/" + method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestRegisterEndpoint, "RegisterEndpoint", &WebhookApi::RegisterEndpoint);
  add(&Service::RequestListEndpoints, "ListEndpoints", &WebhookApi::ListEndpoints);
  add(&Service::RequestDeleteEndpoint, "DeleteEndpoint", &WebhookApi::DeleteEndpoint);
  add(&Service::RequestEnableEndpoint, "EnableEndpoint", &WebhookApi::EnableEndpoint);
  add(&Service::RequestRotateSecret, "RotateSecret", &WebhookApi::RotateSecret);
  add(&Service::RequestListDeliveries, "ListDeliveries", &WebhookApi::ListDeliveries);
  add(&Service::RequestRedeliverDelivery, "RedeliverDelivery", &WebhookApi::RedeliverDelivery);
}

WebhookApi::Reply<v1::RegisterEndpointResponse> WebhookApi::RegisterEndpoint(
    rpc::Call& call, const v1::RegisterEndpointRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  if (auto status = CheckUrl(request.url(), allow_private_); !status.ok()) co_return status;
  if (auto status = CheckTypes(request.event_types(), "event_types"); !status.ok()) co_return status;
  const absl::StatusOr<std::string> id = NewUuid();
  if (!id.ok()) co_return id.status();
  const Endpoint endpoint{.endpoint_id = *id,
                          .user_id = call.user_id,
                          .url = request.url(),
                          .secret = NewSecret(),
                          .event_types = {request.event_types().begin(), request.event_types().end()},
                          .enabled = true,
                          .disabled_reason = "",
                          .created_at = absl::Now()};
  const absl::StatusOr<bool> added = co_await stores_.Run<bool>([&endpoint](Stores& stores) -> absl::StatusOr<bool> {
    if (auto status = stores.endpoints.Add(endpoint); !status.ok()) return status;
    return true;
  });
  if (absl::IsAlreadyExists(added.status())) {
    co_return errors::Make(absl::StatusCode::kAlreadyExists, "ENDPOINT_EXISTS", "url: you have an endpoint with it",
                           {{"field", "url"}});
  }
  if (absl::IsResourceExhausted(added.status())) {
    co_return errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_ENDPOINTS",
                           absl::StrCat("a user has at most ", EndpointStore::kMaxEndpoints, " endpoints"));
  }
  if (!added.ok()) co_return added.status();
  v1::RegisterEndpointResponse response;
  Fill(endpoint, response.mutable_endpoint());
  response.set_secret(ShownSecret(endpoint.secret));
  co_return response;
}

WebhookApi::Reply<v1::ListEndpointsResponse> WebhookApi::ListEndpoints(rpc::Call& call,
                                                                       const v1::ListEndpointsRequest&) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<std::vector<Endpoint>> endpoints = co_await stores_.Run<std::vector<Endpoint>>(
      [&call](Stores& stores) { return stores.endpoints.List(call.user_id); });
  if (!endpoints.ok()) co_return endpoints.status();
  v1::ListEndpointsResponse response;
  for (const Endpoint& endpoint : *endpoints) Fill(endpoint, response.add_endpoints());
  co_return response;
}

WebhookApi::Reply<v1::DeleteEndpointResponse> WebhookApi::DeleteEndpoint(rpc::Call& call,
                                                                         const v1::DeleteEndpointRequest& request) {
  if (auto status = CheckEndpoint(call.user_id, request.endpoint_id()); !status.ok()) co_return status;
  const absl::StatusOr<bool> found = co_await stores_.Run<bool>(
      [&](Stores& stores) { return stores.endpoints.Remove(call.user_id, request.endpoint_id()); });
  if (!found.ok()) co_return found.status();
  if (!*found) co_return Unknown("UNKNOWN_ENDPOINT", "endpoint_id");
  co_return v1::DeleteEndpointResponse();
}

WebhookApi::Reply<v1::EnableEndpointResponse> WebhookApi::EnableEndpoint(rpc::Call& call,
                                                                         const v1::EnableEndpointRequest& request) {
  if (auto status = CheckEndpoint(call.user_id, request.endpoint_id()); !status.ok()) co_return status;
  const absl::StatusOr<bool> found = co_await stores_.Run<bool>(
      [&](Stores& stores) { return stores.endpoints.Enable(call.user_id, request.endpoint_id()); });
  if (!found.ok()) co_return found.status();
  if (!*found) co_return Unknown("UNKNOWN_ENDPOINT", "endpoint_id");
  co_return v1::EnableEndpointResponse();
}

WebhookApi::Reply<v1::RotateSecretResponse> WebhookApi::RotateSecret(rpc::Call& call,
                                                                     const v1::RotateSecretRequest& request) {
  if (auto status = CheckEndpoint(call.user_id, request.endpoint_id()); !status.ok()) co_return status;
  const std::int64_t overlap = request.overlap_seconds() == 0 ? kDaySeconds : request.overlap_seconds();
  if (overlap < 1 || overlap > 7 * kDaySeconds) {
    co_return errors::InvalidField("overlap_seconds", "must be 1 to 604,800, or 0");
  }
  const std::string secret = NewSecret();
  const absl::StatusOr<bool> found = co_await stores_.Run<bool>([&](Stores& stores) {
    return stores.endpoints.Rotate(call.user_id, request.endpoint_id(), secret, absl::Seconds(overlap));
  });
  if (!found.ok()) co_return found.status();
  if (!*found) co_return Unknown("UNKNOWN_ENDPOINT", "endpoint_id");
  v1::RotateSecretResponse response;
  response.set_secret(ShownSecret(secret));
  co_return response;
}

WebhookApi::Reply<v1::ListDeliveriesResponse> WebhookApi::ListDeliveries(rpc::Call& call,
                                                                         const v1::ListDeliveriesRequest& request) {
  absl::StatusOr<EndpointStore::LogQuery> query = Parse(call.user_id, request);
  if (!query.ok()) co_return query.status();
  const auto page = static_cast<std::size_t>(query->limit);
  ++query->limit;  // one more tells whether there is a next page
  const absl::StatusOr<std::vector<Delivery>> log =
      co_await stores_.Run<std::vector<Delivery>>([&query](Stores& stores) { return stores.endpoints.Log(*query); });
  if (!log.ok()) co_return log.status();
  v1::ListDeliveriesResponse response;
  const std::size_t count = std::min(log->size(), page);
  for (std::size_t i = 0; i < count; ++i) Fill((*log)[i], response.add_deliveries());
  if (log->size() > count) response.set_next_page_token(absl::StrCat(kTokenMark, (*log)[count - 1].delivery_id));
  co_return response;
}

WebhookApi::Reply<v1::RedeliverDeliveryResponse> WebhookApi::RedeliverDelivery(
    rpc::Call& call, const v1::RedeliverDeliveryRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  if (request.delivery_id() < 1) co_return errors::InvalidField("delivery_id", "must be a delivery's number, from 1");
  const absl::StatusOr<bool> found = co_await stores_.Run<bool>(
      [&](Stores& stores) { return stores.endpoints.Redeliver(call.user_id, request.delivery_id()); });
  if (!found.ok()) co_return found.status();
  if (!*found) co_return Unknown("UNKNOWN_DELIVERY", "delivery_id");
  co_return v1::RedeliverDeliveryResponse();
}

}  // namespace flotilla::notify
