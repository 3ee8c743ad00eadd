#include "payment/api/reconciliation_convert.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::payment {
namespace {

constexpr std::size_t kMaxNoteBytes = 500;

void SetMoney(flotilla::type::v1::Money* proto, const std::string& currency, std::int64_t minor_units) {
  proto->set_currency_code(currency);
  proto->set_minor_units(minor_units);
}

absl::Status Refusal(absl::StatusCode code, const char* reason, const char* field, const char* rule) {
  return errors::Make(code, reason, absl::StrCat(field, ": ", rule), {{"field", field}});
}

}  // namespace

absl::StatusOr<ProviderStatement> Parse(const v1::ImportStatementRequest& request, absl::Time latest) {
  if (!request.has_header()) return errors::InvalidField("header", "must be the first request's part");
  const auto& header = request.header();
  if (!validation::IsName(header.statement_id())) {
    return errors::InvalidField("header.statement_id", validation::kNameRule);
  }
  if (!header.has_start_time()) return errors::InvalidField("header.start_time", "is required");
  if (!header.has_end_time()) return errors::InvalidField("header.end_time", "is required");
  if (header.size_bytes() < 1) return errors::InvalidField("header.size_bytes", "must be the size of the file");
  ProviderStatement statement{.statement_id = header.statement_id(),
                              .start = timestamp::FromProto(header.start_time()),
                              .end = timestamp::FromProto(header.end_time())};
  if (statement.start < absl::UnixEpoch()) return errors::InvalidField("header.start_time", "must not be before 1970");
  if (statement.end <= statement.start) return errors::InvalidField("header.end_time", "must be after start_time");
  if (statement.end - statement.start > kMaxStatementPeriod) {
    return errors::InvalidField("header.end_time", "must be at most 31 days after start_time");
  }
  if (statement.end > latest) {
    return errors::InvalidField("header.end_time",
                                absl::StrCat("must not be after ", absl::FormatTime(latest, absl::UTCTimeZone()),
                                             ": bookings of a period that ended only now may still be on their way"));
  }
  return statement;
}

absl::StatusOr<ProviderStatementQuery> Parse(const v1::ListStatementsRequest& request) {
  ProviderStatementQuery query{.after = request.page_token()};
  if (!query.after.empty() && !validation::IsName(query.after)) {
    return validation::ForeignToken();
  }
  const absl::StatusOr<int> size = validation::PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size;
  return query;
}

absl::StatusOr<Withdrawal> Parse(const v1::WithdrawStatementRequest& request, const std::string& operator_id) {
  if (absl::Status status = validation::CheckUser(operator_id); !status.ok()) return status;
  if (!validation::IsName(request.statement_id())) return errors::InvalidField("statement_id", validation::kNameRule);
  if (absl::Status status = validation::CheckNote(request.note(), kMaxNoteBytes); !status.ok()) return status;
  return Withdrawal{.statement_id = request.statement_id(), .operator_id = operator_id, .note = request.note()};
}

absl::StatusOr<DifferenceQuery> Parse(const v1::ListDifferencesRequest& request) {
  DifferenceQuery query{.statement_id = request.statement_id(), .all_states = request.include_closed()};
  if (!query.statement_id.empty() && !validation::IsName(query.statement_id)) {
    return errors::InvalidField("statement_id", validation::kNameRule);
  }
  const absl::StatusOr<int> size = validation::PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size;
  if (request.page_token().empty()) return query;
  if (absl::SimpleAtoi(request.page_token(), &query.after) && query.after > 0) return query;
  return validation::ForeignToken();
}

absl::StatusOr<Resolution> Parse(const v1::ResolveDifferenceRequest& request, const std::string& operator_id) {
  if (absl::Status status = validation::CheckUser(operator_id); !status.ok()) return status;
  if (request.difference_id() < 1) return errors::InvalidField("difference_id", "must be at least 1");
  if (request.resolution() != v1::RESOLUTION_CORRECT && request.resolution() != v1::RESOLUTION_DISMISS) {
    return errors::InvalidField("resolution", "must be CORRECT or DISMISS");
  }
  if (absl::Status status = validation::CheckNote(request.note(), kMaxNoteBytes); !status.ok()) return status;
  return Resolution{.difference_id = request.difference_id(),
                    .correct = request.resolution() == v1::RESOLUTION_CORRECT,
                    .operator_id = operator_id,
                    .note = request.note()};
}

absl::Status StatementError(const absl::Status& status) {
  const bool too_long = absl::IsResourceExhausted(status);
  return errors::Make(status.code(), too_long ? "STATEMENT_TOO_LONG" : "MALFORMED_STATEMENT",
                      std::string(status.message()), {{"field", "chunk"}});
}

absl::Status ToStatus(ImportOutcome outcome) {
  switch (outcome) {
    case ImportOutcome::kStored:
      return absl::OkStatus();
    case ImportOutcome::kReused:
      return Refusal(absl::StatusCode::kAlreadyExists, "STATEMENT_REUSED", "header.statement_id",
                     "was used for another content");
    case ImportOutcome::kWithdrawn:
      return Refusal(absl::StatusCode::kFailedPrecondition, "STATEMENT_WITHDRAWN", "header.statement_id",
                     "this statement was withdrawn");
  }
  return absl::InternalError("unknown outcome of an import");
}

absl::Status ToStatus(WithdrawalOutcome outcome) {
  switch (outcome) {
    case WithdrawalOutcome::kWithdrawn:
      return absl::OkStatus();
    case WithdrawalOutcome::kUnknown:
      return Refusal(absl::StatusCode::kNotFound, "UNKNOWN_STATEMENT", "statement_id", "there is no such statement");
    case WithdrawalOutcome::kResolved:
      return Refusal(absl::StatusCode::kFailedPrecondition, "STATEMENT_RESOLVED", "statement_id",
                     "a difference of it was corrected or dismissed");
  }
  return absl::InternalError("unknown outcome of a withdrawal");
}

absl::Status ToStatus(ResolutionOutcome outcome) {
  switch (outcome) {
    case ResolutionOutcome::kResolved:
      return absl::OkStatus();
    case ResolutionOutcome::kUnknown:
      return Refusal(absl::StatusCode::kNotFound, "UNKNOWN_DIFFERENCE", "difference_id", "there is no such difference");
    case ResolutionOutcome::kClosed:
      return Refusal(absl::StatusCode::kFailedPrecondition, "DIFFERENCE_CLOSED", "difference_id",
                     "it is closed already");
    case ResolutionOutcome::kGone:
      return Refusal(absl::StatusCode::kFailedPrecondition, "DIFFERENCE_GONE", "difference_id",
                     "it has found its counterpart since it was listed");
    case ResolutionOutcome::kBalanceLimit:
      return errors::Make(absl::StatusCode::kFailedPrecondition, "BALANCE_LIMIT",
                          "the ledger cannot hold more of this currency");
    case ResolutionOutcome::kNotCorrectable:
      return Refusal(absl::StatusCode::kFailedPrecondition, "NOT_CORRECTABLE", "resolution",
                     "refund the order or end its saga, and the difference closes by itself; or dismiss it");
  }
  return absl::InternalError("unknown outcome of a resolution");
}

v1::Statement ToProto(const StoredStatement& stored) {
  v1::Statement proto;
  proto.set_statement_id(stored.statement_id);
  *proto.mutable_start_time() = timestamp::ToProto(stored.start);
  *proto.mutable_end_time() = timestamp::ToProto(stored.end);
  proto.set_rows(stored.lines);
  proto.set_matched(stored.matched);
  proto.set_open_differences(stored.open_differences);
  proto.set_state(static_cast<v1::StatementState>(stored.state));
  *proto.mutable_import_time() = timestamp::ToProto(stored.imported_at);
  if (stored.compared_at.has_value()) *proto.mutable_compare_time() = timestamp::ToProto(*stored.compared_at);
  proto.set_failed_attempts(stored.failed_attempts);
  proto.set_error(stored.error);
  proto.set_withdrawn_by(stored.withdrawn_by);
  proto.set_withdrawal_note(stored.withdrawal_note);
  return proto;
}

v1::Difference ToProto(const StoredDifference& stored) {
  const Difference& difference = stored.difference;
  v1::Difference proto;
  proto.set_difference_id(stored.difference_id);
  proto.set_statement_id(stored.statement_id);
  proto.set_class_(static_cast<v1::DifferenceClass>(difference.kind_of));
  proto.set_line(difference.line);
  proto.set_transfer_id(difference.transfer_id);
  proto.set_provider_reference(difference.reference);
  proto.set_order_id(stored.order_id);
  proto.set_kind(static_cast<v1::ProviderKind>(difference.kind));
  SetMoney(proto.mutable_theirs(), difference.currency, difference.theirs);
  SetMoney(proto.mutable_ours(), difference.currency, difference.ours);
  proto.set_state(static_cast<v1::DifferenceState>(stored.state));
  proto.set_operator_id(stored.operator_id);
  proto.set_note(stored.note);
  proto.set_correction_transfer_id(stored.correction_id);
  *proto.mutable_create_time() = timestamp::ToProto(stored.created_at);
  return proto;
}

}  // namespace flotilla::payment
