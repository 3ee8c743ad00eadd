#include "testing/status.h"

#include "errors/errors.h"
#include "google/rpc/error_details.pb.h"

namespace flotilla {

std::string Field(const google::rpc::Status& status) {
  for (const auto& any : status.details()) {
    google::rpc::BadRequest bad;
    if (any.UnpackTo(&bad) && bad.field_violations_size() > 0) return bad.field_violations(0).field();
  }
  return "";
}

std::string Field(const absl::Status& status) { return Field(errors::ToProto(status)); }

}  // namespace flotilla
