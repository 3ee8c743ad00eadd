#include "operators/operators.h"

#include "absl/flags/flag.h"
#include "errors/errors.h"
#include "validation/validation.h"

ABSL_FLAG(std::vector<std::string>, operators, {}, "Users who may call the services for operators.");

namespace flotilla::operators {

absl::Status Operators::Check(const rpc::Call& call) const {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) return status;
  if (users_.contains(call.user_id)) return absl::OkStatus();
  return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_AN_OPERATOR", "only operators may do this");
}

Operators FromFlags() { return Operators(absl::GetFlag(FLAGS_operators)); }

}  // namespace flotilla::operators
