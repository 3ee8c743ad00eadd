// LedgerService between the wire and the store. Errors name the field.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "flotilla/payment/v1/ledger_service.pb.h"
#include "payment/store/journal_store.h"

namespace flotilla::payment {

absl::StatusOr<TransferQuery> Parse(const v1::ListTransfersRequest& request);
absl::StatusOr<StatementQuery> Parse(const v1::GetStatementRequest& request);
// Block 0 where there is none.
absl::StatusOr<Anchor> ParseAnchor(const v1::VerifyJournalRequest& request);

v1::Transfer ToProto(const JournalEntry& entry);
v1::GetTrialBalanceResponse ToProto(const std::vector<TrialLine>& lines);
v1::VerifyJournalResponse ToProto(const Verification& verification);

}  // namespace flotilla::payment
