// ReconciliationService between the wire and the store. Errors name the field.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flotilla/payment/v1/reconciliation_service.pb.h"
#include "payment/store/reconciliation_store.h"

namespace flotilla::payment {

// Without lines.
absl::StatusOr<ProviderStatement> Parse(const v1::ImportStatementRequest& request, absl::Time now);
absl::StatusOr<DifferenceQuery> Parse(const v1::ListDifferencesRequest& request);
absl::StatusOr<Resolution> Parse(const v1::ResolveDifferenceRequest& request, const std::string& operator_id);

// The reader's and the store's errors with their reasons.
absl::Status StatementError(const absl::Status& status);
absl::Status ImportError(const absl::Status& status);
absl::Status ResolutionError(const absl::Status& status);

v1::Difference ToProto(const StoredDifference& stored);

}  // namespace flotilla::payment
