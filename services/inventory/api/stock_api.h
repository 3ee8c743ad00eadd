// The handlers of flotilla.inventory.v1.InventoryService that keep and show stock.
#pragma once

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/inventory/v1/inventory_service.grpc.pb.h"
#include "inventory/catalog/catalog.h"
#include "inventory/catalog/price_cache.h"
#include "inventory/catalog/sku_reader.h"
#include "inventory/workflow/stock_keeping.h"
#include "rpc/server.h"

namespace flotilla::inventory {

class StockApi {
 public:
  using Service = v1::InventoryService::AsyncService;
  struct Parts {
    StockKeeping& keeping;
    SkuReader& reader;
    PriceCache& prices;
  };
  explicit StockApi(Parts parts) : parts_(parts) {}
  // `this` outlives the server.
  void Register(rpc::Server& server, Service* service);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::PutSkuResponse> PutSku(const v1::PutSkuRequest& request);
  async::Task<absl::Status> ImportSkus(rpc::ServerReader<v1::ImportSkusRequest>& requests,
                                       rpc::ServerWriter<v1::ImportSkusResponse>& responses);
  Reply<v1::AdjustStockResponse> AdjustStock(const v1::AdjustStockRequest& request);
  Reply<v1::ListStockMovementsResponse> ListStockMovements(const v1::ListStockMovementsRequest& request);
  Reply<v1::GetStockResponse> GetStock(const v1::GetStockRequest& request);
  Reply<v1::BatchGetPricesResponse> BatchGetPrices(const v1::BatchGetPricesRequest& request);
  Reply<v1::ListStockResponse> ListStock(const v1::ListStockRequest& request);
  Reply<v1::ReconcileStockResponse> ReconcileStock(const v1::ReconcileStockRequest& request);
  async::Task<absl::Status> WatchStock(rpc::Call& call, const v1::WatchStockRequest& request,
                                       rpc::ServerWriter<v1::WatchStockResponse>& responses);

  const Parts parts_;
  std::atomic<int> watchers_ = 0;
};

}  // namespace flotilla::inventory
