#include "inventory/api/inventory_api.h"

#include <memory>
#include <utility>
#include <vector>

#include "errors/errors.h"
#include "inventory/api/convert.h"
#include "rpc/batch_items.h"
#include "telemetry/metrics.h"
#include "timestamp/timestamp.h"

namespace flotilla::inventory {
namespace {

prometheus::Counter& Reservations(const char* outcome) {
  return telemetry::Counter("flotilla_inventory_reservations_total", "Reserve answered, repeats included",
                            {{"outcome", outcome}});
}

template <class T>
std::vector<T> Only(T item) {
  std::vector<T> items;
  items.push_back(std::move(item));
  return items;
}

// For rpc::ParseItems and rpc::Assemble.
constexpr auto kParse = [](const auto& request, int index) { return Parse(request, index); };
constexpr auto kFillStatus = [](Outcome outcome, google::rpc::Status& item) {
  item = errors::ToProto(ToStatus(outcome));
};

}  // namespace

InventoryApi::InventoryApi(rpc::Server& server, Inventory& inventory, StockApi::Parts stock)
    : inventory_(inventory),
      stock_(stock),
      held_(Reservations("held")),
      sold_out_(Reservations("sold_out")),
      refused_(Reservations("refused")) {
  using Service = StockApi::Service;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  // `request` lives until the handler's coroutine has ended.
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, std::string("flotilla.inventory.v1.InventoryService/") + method,
                 [this, handler](rpc::Call&, const auto& request) { return (this->*handler)(request); });
  };
  add(&Service::RequestReserve, "Reserve", &InventoryApi::Reserve);
  add(&Service::RequestConfirm, "Confirm", &InventoryApi::Confirm);
  add(&Service::RequestRelease, "Release", &InventoryApi::Release);
  add(&Service::RequestExtendHold, "ExtendHold", &InventoryApi::ExtendHold);
  add(&Service::RequestBatchReserve, "BatchReserve", &InventoryApi::BatchReserve);
  add(&Service::RequestBatchConfirm, "BatchConfirm", &InventoryApi::BatchConfirm);
  add(&Service::RequestBatchRelease, "BatchRelease", &InventoryApi::BatchRelease);
  stock_.Register(server, service.get());
}

absl::Status InventoryApi::Count(const absl::StatusOr<ReserveResult>& result) {
  const absl::Status status = result.ok() ? ToStatus(result->outcome, result->sku) : result.status();
  const bool sold_out = result.ok() && result->outcome == Outcome::kOutOfStock;
  (status.ok() ? held_ : sold_out ? sold_out_ : refused_).Increment();
  return status;
}

InventoryApi::Reply<v1::ReserveResponse> InventoryApi::Reserve(const v1::ReserveRequest& request) {
  absl::StatusOr<ReserveCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  const auto results = co_await inventory_.Reserve(Only(*std::move(command)));
  if (auto status = Count(results.front()); !status.ok()) co_return status;
  co_return ToProto(results.front()->hold);
}

InventoryApi::Reply<v1::ConfirmResponse> InventoryApi::Confirm(const v1::ConfirmRequest& request) {
  absl::StatusOr<std::string> order_id = ParseOrderId(request.order_id());
  if (!order_id.ok()) co_return order_id.status();
  const absl::StatusOr<std::vector<Outcome>> outcomes = co_await inventory_.Confirm(Only(*std::move(order_id)));
  if (!outcomes.ok()) co_return outcomes.status();
  if (auto status = ToStatus(outcomes->front()); !status.ok()) co_return status;
  co_return v1::ConfirmResponse();
}

InventoryApi::Reply<v1::ReleaseResponse> InventoryApi::Release(const v1::ReleaseRequest& request) {
  absl::StatusOr<ReleaseCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  const absl::StatusOr<std::vector<Outcome>> outcomes = co_await inventory_.Release(Only(*std::move(command)));
  if (!outcomes.ok()) co_return outcomes.status();
  if (auto status = ToStatus(outcomes->front()); !status.ok()) co_return status;
  co_return v1::ReleaseResponse();
}

InventoryApi::Reply<v1::ExtendHoldResponse> InventoryApi::ExtendHold(const v1::ExtendHoldRequest& request) {
  absl::StatusOr<ExtendCommand> command = Parse(request);
  if (!command.ok()) co_return command.status();
  const absl::StatusOr<ExtendResult> result = co_await inventory_.Extend(*std::move(command));
  if (!result.ok()) co_return result.status();
  if (auto status = ToStatus(result->outcome); !status.ok()) co_return status;
  v1::ExtendHoldResponse response;
  *response.mutable_expires_at() = timestamp::ToProto(result->hold.expires_at);
  co_return response;
}

InventoryApi::Reply<v1::BatchReserveResponse> InventoryApi::BatchReserve(const v1::BatchReserveRequest& request) {
  if (auto status = rpc::CheckBatch(request.requests_size()); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<ReserveCommand>(request.requests(), kParse);
  std::vector<absl::StatusOr<ReserveResult>> results;
  if (!batch.commands.empty()) results = co_await inventory_.Reserve(std::move(batch.commands));
  co_return rpc::Assemble<v1::BatchReserveResponse>(batch.errors, results,
                                                    [this](const absl::StatusOr<ReserveResult>& result, auto& item) {
                                                      if (const absl::Status status = Count(result); !status.ok()) {
                                                        *item.mutable_error() = errors::ToProto(status);
                                                      } else {
                                                        *item.mutable_response() = ToProto(result->hold);
                                                      }
                                                    });
}

InventoryApi::Reply<v1::BatchConfirmResponse> InventoryApi::BatchConfirm(const v1::BatchConfirmRequest& request) {
  if (auto status = rpc::CheckBatch(request.order_ids_size(), "order_ids"); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<std::string>(request.order_ids(), [](const std::string& id, int index) {
    return ParseOrderId(id, "order_ids[" + std::to_string(index) + "]");
  });
  absl::StatusOr<std::vector<Outcome>> outcomes = std::vector<Outcome>();
  if (!batch.commands.empty()) outcomes = co_await inventory_.Confirm(std::move(batch.commands));
  if (!outcomes.ok()) co_return outcomes.status();
  co_return rpc::Assemble<v1::BatchConfirmResponse>(batch.errors, *outcomes, kFillStatus);
}

InventoryApi::Reply<v1::BatchReleaseResponse> InventoryApi::BatchRelease(const v1::BatchReleaseRequest& request) {
  if (auto status = rpc::CheckBatch(request.requests_size()); !status.ok()) co_return status;
  auto batch = rpc::ParseItems<ReleaseCommand>(request.requests(), kParse);
  absl::StatusOr<std::vector<Outcome>> outcomes = std::vector<Outcome>();
  if (!batch.commands.empty()) outcomes = co_await inventory_.Release(std::move(batch.commands));
  if (!outcomes.ok()) co_return outcomes.status();
  co_return rpc::Assemble<v1::BatchReleaseResponse>(batch.errors, *outcomes, kFillStatus);
}

}  // namespace flotilla::inventory
