// proto <-> domain for SKUs and stock keeping. Parse checks; errors are INVALID_ARGUMENT (INVALID_FIELD) naming the
// field, with "skus[n]." in front where `index` is a SKU of an import.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "flotilla/inventory/v1/inventory_service.pb.h"
#include "inventory/domain/movement.h"
#include "inventory/domain/sku.h"

namespace flotilla::inventory {

absl::Status CheckSku(const std::string& sku);
// 1 to 100 of them, each once.
absl::Status CheckSkus(const google::protobuf::RepeatedPtrField<std::string>& skus);

absl::StatusOr<PutSkuCommand> Parse(const v1::PutSkuRequest& request, int index = -1);
absl::StatusOr<std::vector<PutSkuCommand>> Parse(const v1::ImportSkusRequest& request);
absl::StatusOr<AdjustCommand> Parse(const v1::AdjustStockRequest& request);
absl::StatusOr<MovementQuery> Parse(const v1::ListStockMovementsRequest& request);
absl::StatusOr<SkuQuery> Parse(const v1::ListStockRequest& request);
absl::StatusOr<SkuQuery> Parse(const v1::ReconcileStockRequest& request);

absl::Status ToStatus(AdjustOutcome outcome, const std::string& sku);
v1::Stock ToProto(const Sku& sku);
v1::StockMovement ToProto(const Movement& movement);
v1::ReconcileStockResponse::Comparison ToProto(const Comparison& comparison);

}  // namespace flotilla::inventory
