#include "order/api/saga_admin_parse.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "order/domain/order.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

constexpr std::int64_t kMaxAgeSeconds = std::int64_t{100} * 365 * 24 * 3600;
constexpr std::size_t kMaxStep = 64;

// Which sagas are meant, as ListSagas and RetrySagas say it.
template <class Request>
absl::Status ParseFilter(const Request& request, std::string& type, absl::Duration& min_age) {
  if (!request.type().empty() && !validation::IsName(request.type())) {
    return errors::InvalidField("type", validation::kNameRule);
  }
  const google::protobuf::Duration& age = request.min_age();
  if (age.seconds() < 0 || age.seconds() > kMaxAgeSeconds || age.nanos() < 0 || age.nanos() > 999999999) {
    return errors::InvalidField("min_age", "must be 0 to 100 years");
  }
  type = request.type();
  min_age = timestamp::FromProto(age);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<saga::SagaQuery> Parse(const v1::ListSagasRequest& request) {
  saga::SagaQuery query;
  switch (request.state()) {
    case v1::SAGA_STATE_UNSPECIFIED:
      break;
    case v1::SAGA_STATE_FORWARD:
      query.state = saga::State::kForward;
      break;
    case v1::SAGA_STATE_COMPENSATING:
      query.state = saga::State::kCompensating;
      break;
    case v1::SAGA_STATE_PARKED:
      query.state = saga::State::kParked;
      break;
    default:
      return errors::InvalidField("state", "must be forward, compensating or parked: only these are listed");
  }
  const absl::Status filter = ParseFilter(request, query.type, query.min_age);
  if (!filter.ok()) return filter;
  const absl::StatusOr<int> page = validation::PageSize(request.page_size());
  if (!page.ok()) return page.status();
  query.limit = *page;
  if (!request.page_token().empty()) {
    const std::size_t slash = request.page_token().find('/');
    if (slash == std::string::npos) return validation::ForeignToken();
    auto after = ParseSagaKey(request.page_token().substr(0, slash), request.page_token().substr(slash + 1));
    if (!after.ok()) return validation::ForeignToken();
    query.after = *std::move(after);
  }
  return query;
}

absl::StatusOr<saga::RetryQuery> Parse(const v1::RetrySagasRequest& request) {
  saga::RetryQuery query;
  const absl::Status filter = ParseFilter(request, query.type, query.min_age);
  if (!filter.ok()) return filter;
  if (request.parked_step().size() > kMaxStep || request.parked_step().find('\0') != std::string::npos) {
    return errors::InvalidField("parked_step", "must be at most 64 bytes of text");
  }
  query.parked_step = request.parked_step();
  const absl::StatusOr<int> limit = validation::PageSize(request.max_sagas(), "max_sagas");
  if (!limit.ok()) return limit.status();
  query.limit = *limit;
  return query;
}

absl::StatusOr<saga::ActQuery> Parse(const v1::ListOperatorActsRequest& request) {
  saga::ActQuery query;
  if (!request.saga_type().empty() || !request.saga_id().empty()) {
    if (!validation::IsName(request.saga_type())) return errors::InvalidField("saga_type", validation::kNameRule);
    if (!validation::IsKey(request.saga_id())) return errors::InvalidField("saga_id", validation::kKeyRule);
    query.saga = saga::SagaKey{request.saga_type(), request.saga_id()};
  }
  const absl::StatusOr<int> page = validation::PageSize(request.page_size());
  if (!page.ok()) return page.status();
  query.limit = *page;
  if (!request.page_token().empty() && (!absl::SimpleAtoi(request.page_token(), &query.before) || query.before < 1)) {
    return validation::ForeignToken();
  }
  return query;
}

absl::StatusOr<saga::SagaKey> ParseSagaKey(const std::string& type, const std::string& id) {
  if (!validation::IsName(type)) return errors::InvalidField("type", validation::kNameRule);
  if (!validation::IsKey(id)) return errors::InvalidField("id", validation::kKeyRule);
  return saga::SagaKey{type, id};
}

absl::Status CheckEnd(v1::OrderState state) {
  if (v1::OrderState_IsValid(state) && Settled(static_cast<State>(state))) return absl::OkStatus();
  return errors::InvalidField("order_state", "must be PAID, CANCELLED, REFUNDED or PARTIALLY_REFUNDED");
}

v1::Saga ToProto(const saga::SagaView& view) {
  v1::Saga proto;
  proto.set_type(view.key.type);
  proto.set_id(view.key.id);
  proto.set_version(view.version);
  proto.set_state(static_cast<v1::SagaState>(static_cast<int>(view.state) + 1));
  proto.set_parked_step(view.parked_step);
  proto.set_error(view.error);
  proto.set_reason(view.reason);
  proto.set_compensable(view.compensable);
  proto.set_owner(view.owner);
  if (view.outcome == saga::Outcome::kCompleted) proto.set_outcome(v1::SAGA_OUTCOME_COMPLETED);
  if (view.outcome == saga::Outcome::kCompensated) proto.set_outcome(v1::SAGA_OUTCOME_COMPENSATED);
  if (view.created_at != absl::InfinitePast()) *proto.mutable_create_time() = timestamp::ToProto(view.created_at);
  return proto;
}

v1::SagaHistoryEntry ToProto(const saga::HistoryEntry& entry) {
  v1::SagaHistoryEntry proto;
  proto.set_kind(static_cast<v1::SagaHistoryEntry::Kind>(entry.kind));
  proto.set_step(entry.step);
  proto.set_attempt(entry.attempt);
  proto.set_error(entry.error);
  proto.set_owner(entry.owner);
  *proto.mutable_time() = timestamp::ToProto(entry.at);
  return proto;
}

v1::OperatorAct ToProto(const saga::OperatorAct& act) {
  v1::OperatorAct proto;
  proto.set_kind(static_cast<v1::OperatorAct::Kind>(act.act));
  proto.set_operator_(act.operator_id);
  proto.set_saga_type(act.saga.type);
  proto.set_saga_id(act.saga.id);
  proto.set_note(act.note);
  *proto.mutable_time() = timestamp::ToProto(act.at);
  return proto;
}

std::string PageToken(const saga::SagaView& last) { return absl::StrCat(last.key.type, "/", last.key.id); }
std::string PageToken(const saga::OperatorAct& last) { return absl::StrCat(last.sequence); }

}  // namespace flotilla::order
