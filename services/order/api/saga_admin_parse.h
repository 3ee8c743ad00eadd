// Requests of SagaAdminService checked, and what it answers. Errors: INVALID_ARGUMENT (INVALID_FIELD) naming the field.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "flotilla/order/v1/saga_admin_service.pb.h"
#include "saga/admin_store.h"

namespace flotilla::order {

absl::StatusOr<saga::SagaQuery> Parse(const v1::ListSagasRequest& request);
absl::StatusOr<saga::RetryQuery> Parse(const v1::RetrySagasRequest& request);
absl::StatusOr<saga::ActQuery> Parse(const v1::ListOperatorActsRequest& request);
absl::StatusOr<saga::SagaKey> ParseSagaKey(const std::string& type, const std::string& id);
// Of ResolveSaga.
absl::Status CheckEnd(v1::OrderState state);

v1::Saga ToProto(const saga::SagaView& view);
v1::SagaHistoryEntry ToProto(const saga::HistoryEntry& entry);
v1::OperatorAct ToProto(const saga::OperatorAct& act);

// The tokens of the page after these.
std::string PageToken(const saga::SagaView& last);
std::string PageToken(const saga::OperatorAct& last);

}  // namespace flotilla::order
