#include "inventory/api/stock_api.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "errors/errors.h"
#include "inventory/api/convert.h"
#include "inventory/api/convert_stock.h"

namespace flotilla::inventory {
namespace {

constexpr int kMostWatchers = 1000;
// Watchers look again so often; looks of the same moment share a statement.
constexpr absl::Duration kWatchPeriod = absl::Milliseconds(500);

}  // namespace

void StockApi::Register(rpc::Server& server, Service* service) {
  // `request` lives until the handler's coroutine has ended.
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service, requester, std::string("flotilla.inventory.v1.InventoryService/") + method,
                 [this, handler](rpc::Call&, const auto& request) { return (this->*handler)(request); });
  };
  add(&Service::RequestPutSku, "PutSku", &StockApi::PutSku);
  add(&Service::RequestAdjustStock, "AdjustStock", &StockApi::AdjustStock);
  add(&Service::RequestListStockMovements, "ListStockMovements", &StockApi::ListStockMovements);
  add(&Service::RequestGetStock, "GetStock", &StockApi::GetStock);
  add(&Service::RequestBatchGetPrices, "BatchGetPrices", &StockApi::BatchGetPrices);
  add(&Service::RequestListStock, "ListStock", &StockApi::ListStock);
  add(&Service::RequestReconcileStock, "ReconcileStock", &StockApi::ReconcileStock);
  server.BidiStreaming(
      service, &Service::RequestImportSkus, "flotilla.inventory.v1.InventoryService/ImportSkus",
      [this](rpc::Call&, rpc::ServerReader<v1::ImportSkusRequest>& requests,
             rpc::ServerWriter<v1::ImportSkusResponse>& responses) { return ImportSkus(requests, responses); });
  server.ServerStreaming(
      service, &Service::RequestWatchStock, "flotilla.inventory.v1.InventoryService/WatchStock",
      [this](rpc::Call& call, const v1::WatchStockRequest& request,
             rpc::ServerWriter<v1::WatchStockResponse>& responses) { return WatchStock(call, request, responses); });
}

StockApi::Reply<v1::PutSkuResponse> StockApi::PutSku(const v1::PutSkuRequest& request) {
  absl::StatusOr<PutSkuCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  std::vector<PutSkuCommand> commands = {*std::move(command)};
  const absl::StatusOr<StockKeeping::PutResults> results = co_await parts_.keeping.Put(std::move(commands));
  if (!results.ok()) co_return results.status();
  v1::PutSkuResponse response;
  *response.mutable_stock() = ToProto(results->at(request.sku()).sku);
  co_return response;
}

async::Task<absl::Status> StockApi::ImportSkus(rpc::ServerReader<v1::ImportSkusRequest>& requests,
                                               rpc::ServerWriter<v1::ImportSkusResponse>& responses) {
  v1::ImportSkusResponse progress;
  for (;;) {
    v1::ImportSkusRequest request;
    const bool more = co_await requests.Read(&request);
    if (!more) co_return absl::OkStatus();
    absl::StatusOr<std::vector<PutSkuCommand>> commands = Parse(request);
    if (!commands.ok()) co_return commands.status();
    const absl::StatusOr<StockKeeping::PutResults> results = co_await parts_.keeping.Put(*std::move(commands));
    if (!results.ok()) co_return results.status();
    progress.set_imported(progress.imported() + static_cast<std::int64_t>(results->size()));
    for (const auto& [sku, result] : *results) progress.set_created(progress.created() + (result.created ? 1 : 0));
    const bool written = co_await responses.Write(progress);
    if (!written) co_return absl::CancelledError("the client has gone");
  }
}

StockApi::Reply<v1::AdjustStockResponse> StockApi::AdjustStock(const v1::AdjustStockRequest& request) {
  absl::StatusOr<AdjustCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  const absl::StatusOr<AdjustResult> result = co_await parts_.keeping.Adjust(*std::move(command));
  if (!result.ok()) co_return result.status();
  if (auto status = ToStatus(result->outcome, request.sku()); !status.ok()) co_return status;
  v1::AdjustStockResponse response;
  *response.mutable_stock() = ToProto(result->sku);
  co_return response;
}

StockApi::Reply<v1::ListStockMovementsResponse> StockApi::ListStockMovements(
    const v1::ListStockMovementsRequest& request) {
  const absl::StatusOr<MovementQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const absl::StatusOr<std::vector<Movement>> movements = co_await parts_.keeping.ListMovements(*query);
  if (!movements.ok()) co_return movements.status();
  v1::ListStockMovementsResponse response;
  for (const Movement& movement : *movements) *response.add_movements() = ToProto(movement);
  if (static_cast<int>(movements->size()) == query->limit) {
    response.set_next_page_token(std::to_string(movements->back().id));
  }
  co_return response;
}

StockApi::Reply<v1::GetStockResponse> StockApi::GetStock(const v1::GetStockRequest& request) {
  if (auto status = CheckSku(request.sku()); !status.ok()) co_return status;
  std::vector<std::string> skus = {request.sku()};
  const absl::StatusOr<SkuReader::Skus> found = co_await parts_.reader.Read(std::move(skus));
  if (!found.ok()) co_return found.status();
  const auto it = (*found)->find(request.sku());
  if (it == (*found)->end()) co_return ToStatus(Outcome::kUnknownSku, request.sku());
  v1::GetStockResponse response;
  *response.mutable_stock() = ToProto(it->second);
  co_return response;
}

StockApi::Reply<v1::BatchGetPricesResponse> StockApi::BatchGetPrices(const v1::BatchGetPricesRequest& request) {
  if (auto status = CheckSkus(request.skus()); !status.ok()) co_return status;
  std::vector<std::string> skus(request.skus().begin(), request.skus().end());
  const absl::StatusOr<PriceCache::Prices> prices = co_await parts_.prices.Get(std::move(skus));
  if (!prices.ok()) co_return prices.status();
  v1::BatchGetPricesResponse response;
  for (const std::string& sku : request.skus()) {
    auto* out = response.add_prices();
    out->set_sku(sku);
    const std::optional<Price>& price = prices->at(sku);
    if (!price.has_value()) continue;
    out->mutable_price()->set_minor_units(price->amount);
    out->mutable_price()->set_currency_code(price->currency);
  }
  co_return response;
}

StockApi::Reply<v1::ListStockResponse> StockApi::ListStock(const v1::ListStockRequest& request) {
  const absl::StatusOr<SkuQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const absl::StatusOr<std::vector<Sku>> skus = co_await parts_.keeping.List(*query);
  if (!skus.ok()) co_return skus.status();
  v1::ListStockResponse response;
  for (const Sku& sku : *skus) *response.add_stocks() = ToProto(sku);
  if (static_cast<int>(skus->size()) == query->limit) response.set_next_page_token(skus->back().sku);
  co_return response;
}

StockApi::Reply<v1::ReconcileStockResponse> StockApi::ReconcileStock(const v1::ReconcileStockRequest& request) {
  const absl::StatusOr<SkuQuery> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const absl::StatusOr<std::vector<Comparison>> comparisons = co_await parts_.keeping.Compare(*query);
  if (!comparisons.ok()) co_return comparisons.status();
  v1::ReconcileStockResponse response;
  for (const Comparison& comparison : *comparisons) {
    const bool drifts = comparison.gate.has_value() && *comparison.gate != comparison.available;
    if (drifts || !request.only_drifting()) *response.add_comparisons() = ToProto(comparison);
  }
  if (static_cast<int>(comparisons->size()) == query->limit) response.set_next_page_token(comparisons->back().sku);
  co_return response;
}

async::Task<absl::Status> StockApi::WatchStock(rpc::Call& call, const v1::WatchStockRequest& request,
                                               rpc::ServerWriter<v1::WatchStockResponse>& responses) {
  if (auto status = CheckSkus(request.skus()); !status.ok()) co_return status;
  const absl::Cleanup leave = [this] { --watchers_; };
  if (++watchers_ > kMostWatchers) {
    co_return errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_WATCHERS",
                           "this instance serves as many watchers as it may");
  }
  std::map<std::string, Sku> shown;
  while (!call.cancelled()) {
    std::vector<std::string> skus(request.skus().begin(), request.skus().end());
    const absl::StatusOr<SkuReader::Skus> found = co_await parts_.reader.Read(std::move(skus));
    if (!found.ok() && shown.empty()) co_return found.status();
    for (const std::string& name : request.skus()) {
      if (!found.ok()) break;  // the database may be back at the next look
      const auto it = (*found)->find(name);
      if (it == (*found)->end()) co_return ToStatus(Outcome::kUnknownSku, name);
      const auto before = shown.find(name);
      if (before != shown.end() && before->second == it->second) continue;
      shown[name] = it->second;
      v1::WatchStockResponse response;
      *response.mutable_stock() = ToProto(it->second);
      const bool written = co_await responses.Write(response);
      if (!written) co_return absl::CancelledError("the client has gone");
    }
    co_await async::SleepFor(kWatchPeriod);
  }
  co_return absl::CancelledError("the client has gone or the server is ending");
}

}  // namespace flotilla::inventory
