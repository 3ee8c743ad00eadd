// Errors with a reason a program can read. Inside the fleet an error is an absl::Status whose payload holds the
// google.rpc.Status details; outside it is a grpc::Status with the same bytes in "grpc-status-details-bin".
//
// Which code (after absl/status/status.h): UNAVAILABLE - the caller may retry just this call; ABORTED - the caller
// should retry at a higher level; FAILED_PRECONDITION - no retry before the state has been changed.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace flotilla::errors {

using Metadata = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// An error with ErrorInfo(reason, domain "flotilla", metadata).
absl::Status Make(absl::StatusCode code, std::string_view reason, std::string_view message, Metadata metadata = {});

// INVALID_ARGUMENT, reason INVALID_FIELD, BadRequest naming the field ("items[2].quantity").
absl::Status InvalidField(std::string_view field, std::string_view description);

// The same error with RetryInfo.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

// RESOURCE_EXHAUSTED (SERVER_BUSY) with RetryInfo.
absl::Status Busy(std::string_view message);

// ErrorInfo.reason, or "" where there is none.
std::string Reason(const absl::Status& status);

google::rpc::Status ToProto(const absl::Status& status);
absl::Status FromProto(const google::rpc::Status& proto);
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace flotilla::errors
