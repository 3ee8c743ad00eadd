// flotilla.inventory.v1.InventoryService: the handlers of holds here, those of stock keeping in StockApi.
#pragma once

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/inventory/v1/inventory_service.grpc.pb.h"
#include "inventory/api/stock_api.h"
#include "inventory/workflow/inventory.h"
#include "prometheus/counter.h"
#include "rpc/server.h"

namespace flotilla::inventory {

class InventoryApi {
 public:
  // Adds the service to `server`. `inventory` and what `stock` refers to outlive it.
  InventoryApi(rpc::Server& server, Inventory& inventory, StockApi::Parts stock);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::ReserveResponse> Reserve(const v1::ReserveRequest& request);
  Reply<v1::ConfirmResponse> Confirm(const v1::ConfirmRequest& request);
  Reply<v1::ReleaseResponse> Release(const v1::ReleaseRequest& request);
  Reply<v1::ExtendHoldResponse> ExtendHold(const v1::ExtendHoldRequest& request);
  Reply<v1::BatchReserveResponse> BatchReserve(const v1::BatchReserveRequest& request);
  Reply<v1::BatchConfirmResponse> BatchConfirm(const v1::BatchConfirmRequest& request);
  Reply<v1::BatchReleaseResponse> BatchRelease(const v1::BatchReleaseRequest& request);
  absl::Status Count(const absl::StatusOr<ReserveResult>& result);

  Inventory& inventory_;
  StockApi stock_;
  prometheus::Counter& held_;
  prometheus::Counter& sold_out_;
  prometheus::Counter& refused_;
};

}  // namespace flotilla::inventory
