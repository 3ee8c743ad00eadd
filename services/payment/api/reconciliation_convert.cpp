#include "payment/api/reconciliation_convert.h"

#include "absl/strings/numbers.h"
#include "errors/errors.h"
#include "validation/validation.h"

namespace flotilla::payment {
namespace {

constexpr std::size_t kMaxNoteBytes = 500;

// Without its nanoseconds' last digits: PostgreSQL keeps microseconds.
absl::Time TimeOf(const google::protobuf::Timestamp& proto) {
  return absl::FromUnixSeconds(proto.seconds()) + absl::Microseconds(proto.nanos() / 1000);
}

void SetMoney(flotilla::type::v1::Money* proto, const std::string& currency, std::int64_t minor_units) {
  proto->set_currency_code(currency);
  proto->set_minor_units(minor_units);
}

}  // namespace

absl::StatusOr<ProviderStatement> Parse(const v1::ImportStatementRequest& request, absl::Time now) {
  if (!request.has_header()) return errors::InvalidField("header", "must be the first request's part");
  const auto& header = request.header();
  if (!validation::IsName(header.statement_id())) {
    return errors::InvalidField("header.statement_id", validation::kNameRule);
  }
  if (!header.has_start_time()) return errors::InvalidField("header.start_time", "is required");
  if (!header.has_end_time()) return errors::InvalidField("header.end_time", "is required");
  ProviderStatement statement{
      .statement_id = header.statement_id(), .start = TimeOf(header.start_time()), .end = TimeOf(header.end_time())};
  if (statement.start < absl::UnixEpoch()) return errors::InvalidField("header.start_time", "must not be before 1970");
  if (statement.end <= statement.start) return errors::InvalidField("header.end_time", "must be after start_time");
  if (statement.end > now) return errors::InvalidField("header.end_time", "must not be in the future");
  return statement;
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
  return errors::InvalidField("page_token", "was not given by this service");
}

absl::StatusOr<Resolution> Parse(const v1::ResolveDifferenceRequest& request, const std::string& operator_id) {
  if (absl::Status status = validation::CheckUser(operator_id); !status.ok()) return status;
  if (request.difference_id() < 1) return errors::InvalidField("difference_id", "must be at least 1");
  if (request.resolution() != v1::RESOLUTION_CORRECT && request.resolution() != v1::RESOLUTION_DISMISS) {
    return errors::InvalidField("resolution", "must be CORRECT or DISMISS");
  }
  if (request.note().empty() || request.note().size() > kMaxNoteBytes ||
      request.note().find('\0') != std::string::npos) {
    return errors::InvalidField("note", "must be 1 to 500 bytes without NUL");
  }
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

absl::Status ImportError(const absl::Status& status) {
  if (!absl::IsAlreadyExists(status)) return status;
  return errors::Make(status.code(), "STATEMENT_REUSED", "header.statement_id: was used for another content",
                      {{"field", "header.statement_id"}});
}

absl::Status ResolutionError(const absl::Status& status) {
  if (absl::IsNotFound(status)) {
    return errors::Make(status.code(), "UNKNOWN_DIFFERENCE", "difference_id: there is no such difference",
                        {{"field", "difference_id"}});
  }
  if (!absl::IsFailedPrecondition(status)) return status;
  return errors::Make(status.code(), "DIFFERENCE_CLOSED", "difference_id: it is closed already",
                      {{"field", "difference_id"}});
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
  const std::int64_t micros = absl::ToUnixMicros(stored.created_at);
  proto.mutable_create_time()->set_seconds(micros / 1000000);
  proto.mutable_create_time()->set_nanos(static_cast<int>(micros % 1000000) * 1000);
  return proto;
}

}  // namespace flotilla::payment
