// Requests of inventory: bytes -> message -> domain.
#include "fuzz/fuzz.h"
#include "inventory/api/convert.h"
#include "inventory/api/convert_stock.h"

namespace flotilla::inventory {
namespace {

// The size of a batch, then each of its items.
template <class Command, class Request>
absl::Status CheckItems(const Request& request) {
  if (auto status = rpc::CheckBatch(request.requests_size()); !status.ok()) return status;
  const auto items =
      rpc::ParseItems<Command>(request.requests(), [](const auto& item, int index) { return Parse(item, index); });
  fuzz::Require(items.commands.size() + items.errors.size() == static_cast<std::size_t>(request.requests_size()),
                "every item has a command or an error");
  for (const auto& [index, error] : items.errors) fuzz::RequireRefusal(error);
  return absl::OkStatus();
}

void Run(std::string_view input) {
  const auto parse = [](const auto& request) { return Parse(request); };
  switch (fuzz::TakeChoice(input, 11)) {
    case 0:
      return fuzz::Handle<v1::ReserveRequest>(input, parse);
    case 1:
      return fuzz::Handle<v1::ReleaseRequest>(input, parse);
    case 2:
      return fuzz::Handle<v1::ExtendHoldRequest>(input, parse);
    case 3:
      return fuzz::Handle<v1::ConfirmRequest>(input, [](const auto& r) { return ParseOrderId(r.order_id()); });
    case 4:
      return fuzz::Handle<v1::BatchReserveRequest>(input, CheckItems<ReserveCommand, v1::BatchReserveRequest>);
    case 5:
      return fuzz::Handle<v1::BatchReleaseRequest>(input, CheckItems<ReleaseCommand, v1::BatchReleaseRequest>);
    case 6:
      return fuzz::Handle<v1::ImportSkusRequest>(input, parse);
    case 7:
      return fuzz::Handle<v1::AdjustStockRequest>(input, parse);
    case 8:
      return fuzz::Handle<v1::ListStockMovementsRequest>(input, parse);
    case 9:
      return fuzz::Handle<v1::ListStockRequest>(input, parse);
    default:
      return fuzz::Handle<v1::ReconcileStockRequest>(input, parse);
  }
}

}  // namespace
}  // namespace flotilla::inventory

FLOTILLA_FUZZ(flotilla::inventory::Run)
