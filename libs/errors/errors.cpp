#include "errors/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "timestamp/timestamp.h"

namespace flotilla::errors {
namespace {

// One payload holds the whole google.rpc.Status; its code and message repeat the status's own.
constexpr absl::string_view kPayloadUrl = "type.googleapis.com/google.rpc.Status";
constexpr std::string_view kDomain = "flotilla";

google::rpc::Status Details(const absl::Status& status) {
  google::rpc::Status proto;
  if (auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    proto.ParseFromString(std::string(*payload));
  }
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(std::string(status.message()));
  return proto;
}

void Attach(absl::Status& status, const google::rpc::Status& proto) {
  if (proto.details_size() > 0)
    status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(proto.SerializeAsString())));
}

}  // namespace

absl::Status Make(absl::StatusCode code, std::string_view reason, std::string_view message, Metadata metadata) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kDomain));
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[std::string(key)] = std::string(value);
  google::rpc::Status proto = Details(status);
  proto.add_details()->PackFrom(info);
  Attach(status, proto);
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view description) {
  absl::Status status = Make(absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                             std::string(field) + ": " + std::string(description), {{"field", field}});
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(description));
  google::rpc::Status proto = Details(status);
  proto.add_details()->PackFrom(bad);
  Attach(status, proto);
  return status;
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  google::rpc::RetryInfo info;
  *info.mutable_retry_delay() = timestamp::ToProto(delay);
  google::rpc::Status proto = Details(status);
  proto.add_details()->PackFrom(info);
  Attach(status, proto);
  return status;
}

absl::Status Busy(std::string_view message) {
  return WithRetryDelay(Make(absl::StatusCode::kResourceExhausted, "SERVER_BUSY", message), absl::Milliseconds(100));
}

std::string Reason(const absl::Status& status) {
  if (status.ok()) return "";
  const google::rpc::Status proto = Details(status);  // named: a range-for does not keep a temporary alive
  for (const auto& any : proto.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) return info.reason();
  }
  return "";
}

google::rpc::Status ToProto(const absl::Status& status) {
  return status.ok() ? google::rpc::Status() : Details(status);
}

absl::Status FromProto(const google::rpc::Status& proto) {
  if (proto.code() == 0) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(proto.code()), proto.message());
  Attach(status, proto);
  return status;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The payload is the whole google.rpc.Status already; an overloaded server answers thousands of these a second.
  const auto payload = status.GetPayload(kPayloadUrl);
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
          payload.has_value() ? std::string(*payload) : std::string()};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status proto;
  if (!status.error_details().empty() && proto.ParseFromString(status.error_details())) Attach(out, proto);
  return out;
}

}  // namespace flotilla::errors
