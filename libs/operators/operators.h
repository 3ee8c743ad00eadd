// Who may call the services for operators.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rpc/server.h"

namespace flotilla::operators {

class Operators {
 public:
  explicit Operators(const std::vector<std::string>& users) : users_(users.begin(), users.end()) {}
  // UNAUTHENTICATED (NO_USER), PERMISSION_DENIED (NOT_AN_OPERATOR).
  absl::Status Check(const rpc::Call& call) const;

 private:
  std::set<std::string> users_;
};

// Those of --operators.
Operators FromFlags();

}  // namespace flotilla::operators
