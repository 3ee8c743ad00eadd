#include "payment/api/ledger_convert.h"

#include <algorithm>
#include <map>

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "errors/errors.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::payment {
namespace {

// page_size and page_token, which is the last id of the page before.
template <class Request, class Query>
absl::Status ParsePage(const Request& request, Query& query) {
  const absl::StatusOr<int> size = validation::PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size;
  if (request.page_token().empty()) return absl::OkStatus();
  if (absl::SimpleAtoi(request.page_token(), &query.before) && query.before > 0) return absl::OkStatus();
  return validation::ForeignToken();
}

}  // namespace

absl::StatusOr<TransferQuery> Parse(const v1::ListTransfersRequest& request) {
  TransferQuery query;
  if (!request.order_id().empty()) {
    if (!validation::IsUuid(request.order_id())) return errors::InvalidField("order_id", validation::kUuidRule);
    query.order_id = absl::AsciiStrToLower(request.order_id());
  }
  if (absl::Status status = ParsePage(request, query); !status.ok()) return status;
  return query;
}

absl::StatusOr<StatementQuery> Parse(const v1::GetStatementRequest& request) {
  StatementQuery query;
  query.kind = static_cast<AccountKind>(request.kind());
  if (query.kind == AccountKind::kWallet) {
    if (!validation::IsName(request.user_id())) return errors::InvalidField("user_id", validation::kNameRule);
    query.owner = request.user_id();
  } else {
    const auto system = std::find_if(std::begin(kSystemKinds), std::end(kSystemKinds),
                                     [&](const SystemKind& s) { return s.kind == query.kind; });
    if (system == std::end(kSystemKinds)) return errors::InvalidField("kind", "must be an account's kind");
    if (!request.user_id().empty()) return errors::InvalidField("user_id", "only a wallet has a user");
    query.owner = system->owner;
  }
  if (!validation::IsCurrency(request.currency_code())) {
    return errors::InvalidField("currency_code", validation::kCurrencyRule);
  }
  query.currency = request.currency_code();
  if (absl::Status status = ParsePage(request, query); !status.ok()) return status;
  return query;
}

absl::StatusOr<Anchor> ParseAnchor(const v1::VerifyJournalRequest& request) {
  if (request.after_block() < 0) return errors::InvalidField("after_block", "must not be negative");
  if (!request.has_anchor()) return Anchor();
  if (request.anchor().block() < 1) return errors::InvalidField("anchor.block", "must be at least 1");
  if (request.anchor().hash().size() != 32) return errors::InvalidField("anchor.hash", "must be 32 bytes");
  return Anchor{request.anchor().block(), request.anchor().hash()};
}

v1::Transfer ToProto(const JournalEntry& entry) {
  v1::Transfer proto;
  proto.set_transfer_id(entry.transfer_id);
  proto.set_kind(static_cast<v1::TransferKind>(entry.transfer.kind));
  proto.set_debit_account(entry.transfer.debit_account);
  proto.set_credit_account(entry.transfer.credit_account);
  proto.mutable_amount()->set_currency_code(entry.transfer.amount.currency);
  proto.mutable_amount()->set_minor_units(entry.transfer.amount.minor_units);
  proto.set_reference(entry.transfer.reference);
  *proto.mutable_create_time() = timestamp::ToProto(entry.created_at);
  return proto;
}

v1::GetTrialBalanceResponse ToProto(const std::vector<TrialLine>& lines) {
  v1::GetTrialBalanceResponse response;
  std::map<std::string, absl::int128> sums;
  for (const TrialLine& line : lines) {
    auto* out = response.add_lines();
    out->set_kind(static_cast<v1::AccountKind>(line.kind));
    out->set_accounts(line.accounts);
    out->mutable_balance()->set_currency_code(line.currency);
    out->mutable_balance()->set_minor_units(line.balance);
    sums[line.currency] += line.balance;
  }
  response.set_balanced(std::all_of(sums.begin(), sums.end(), [](const auto& sum) { return sum.second == 0; }));
  return response;
}

v1::VerifyJournalResponse ToProto(const Verification& verification) {
  v1::VerifyJournalResponse response;
  response.set_intact(verification.problem.empty());
  response.set_blocks(verification.blocks);
  response.set_transfers(verification.transfers);
  response.set_uncovered(verification.uncovered);
  if (verification.head.block > 0) {
    response.mutable_head()->set_block(verification.head.block);
    response.mutable_head()->set_hash(verification.head.hash);
  }
  response.set_problem(verification.problem);
  return response;
}

}  // namespace flotilla::payment
