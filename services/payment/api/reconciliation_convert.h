// ReconciliationService between the wire and the store. Errors name the field.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flotilla/payment/v1/reconciliation_service.pb.h"
#include "payment/store/reconciliation_store.h"
#include "payment/store/statement_store.h"

namespace flotilla::payment {

inline constexpr absl::Duration kMaxStatementPeriod = absl::Hours(31 * 24);

// Without lines. Its period must have ended by `latest`.
absl::StatusOr<ProviderStatement> Parse(const v1::ImportStatementRequest& request, absl::Time latest);
absl::StatusOr<ProviderStatementQuery> Parse(const v1::ListStatementsRequest& request);
absl::StatusOr<Withdrawal> Parse(const v1::WithdrawStatementRequest& request, const std::string& operator_id);
absl::StatusOr<DifferenceQuery> Parse(const v1::ListDifferencesRequest& request);
absl::StatusOr<Resolution> Parse(const v1::ResolveDifferenceRequest& request, const std::string& operator_id);

// The reader's errors with their reasons.
absl::Status StatementError(const absl::Status& status);
// OK for kStored, kWithdrawn of a withdrawal and kResolved.
absl::Status ToStatus(ImportOutcome outcome);
absl::Status ToStatus(WithdrawalOutcome outcome);
absl::Status ToStatus(ResolutionOutcome outcome);

v1::Statement ToProto(const StoredStatement& stored);
v1::Difference ToProto(const StoredDifference& stored);

}  // namespace flotilla::payment
