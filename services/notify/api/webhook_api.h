// The handlers of flotilla.notify.v1.WebhookService.
#pragma once

#include "async/task.h"
#include "flotilla/notify/v1/webhook_service.grpc.pb.h"
#include "notify/store/stores.h"
#include "rpc/server.h"

namespace flotilla::notify {

class WebhookApi {
 public:
  // Adds the service to `server`, whose calls this object and the reference outlive. `allow_private`: see url.h.
  WebhookApi(rpc::Server& server, StoreCalls& stores, bool allow_private);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::RegisterEndpointResponse> RegisterEndpoint(rpc::Call& call, const v1::RegisterEndpointRequest& request);
  Reply<v1::ListEndpointsResponse> ListEndpoints(rpc::Call& call, const v1::ListEndpointsRequest& request);
  Reply<v1::DeleteEndpointResponse> DeleteEndpoint(rpc::Call& call, const v1::DeleteEndpointRequest& request);
  Reply<v1::EnableEndpointResponse> EnableEndpoint(rpc::Call& call, const v1::EnableEndpointRequest& request);
  Reply<v1::RotateSecretResponse> RotateSecret(rpc::Call& call, const v1::RotateSecretRequest& request);
  Reply<v1::ListDeliveriesResponse> ListDeliveries(rpc::Call& call, const v1::ListDeliveriesRequest& request);
  Reply<v1::RedeliverDeliveryResponse> RedeliverDelivery(rpc::Call& call, const v1::RedeliverDeliveryRequest& request);

  StoreCalls& stores_;
  const bool allow_private_;
};

}  // namespace flotilla::notify
