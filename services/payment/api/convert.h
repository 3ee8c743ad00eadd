// Between the wire and the domain: parsing with validation, outcomes as statuses.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "payment/domain/ledger.h"
#include "rpc/batch_items.h"

namespace flotilla::payment {

// Errors name the field: "amount.minor_units", or "requests[2].amount.minor_units" where `index` is that of a batch's
// item.
absl::StatusOr<ChargeCommand> Parse(const v1::ChargeRequest& request, int index = rpc::kNotInBatch);
absl::StatusOr<std::string> Parse(const v1::RefundRequest& request, int index = rpc::kNotInBatch);  // the order id
absl::StatusOr<DepositCommand> Parse(const v1::DepositRequest& request);
absl::StatusOr<WalletKey> ParseWallet(std::string_view user_id, std::string_view currency);

// OK for kCharged and kDeposited.
absl::Status ToStatus(ChargeOutcome outcome);
absl::Status ToStatus(DepositOutcome outcome);
absl::Status UnknownAccount();

v1::Account ToProto(const std::string& user_id, const std::string& currency, std::int64_t balance);
v1::ChargeResponse ToProto(const ChargeResult& result);
v1::RefundResponse ToProto(const RefundResult& result);

}  // namespace flotilla::payment
