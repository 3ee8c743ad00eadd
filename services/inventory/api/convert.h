// proto <-> domain for holds. Parse checks; errors are INVALID_ARGUMENT (INVALID_FIELD) naming the field, with
// "requests[n]." in front where `index` is a request of a batch.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "flotilla/inventory/v1/inventory_service.pb.h"
#include "inventory/domain/hold.h"
#include "rpc/batch_items.h"

namespace flotilla::inventory {

absl::StatusOr<ReserveCommand> Parse(const v1::ReserveRequest& request, int index = rpc::kNotInBatch);
absl::StatusOr<ReleaseCommand> Parse(const v1::ReleaseRequest& request, int index = rpc::kNotInBatch);
absl::StatusOr<ExtendCommand> Parse(const v1::ExtendHoldRequest& request);
// Lower case. `field` as it is to be named.
absl::StatusOr<std::string> ParseOrderId(const std::string& order_id, const std::string& field = "order_id");

absl::Status ToStatus(Outcome outcome, const std::string& sku = "");
v1::ReserveResponse ToProto(const Hold& hold);

}  // namespace flotilla::inventory
