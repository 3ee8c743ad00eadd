#include "config/secret.h"

#include <fstream>

#include "absl/strings/str_cat.h"

namespace flotilla::config {

absl::StatusOr<std::string> ReadSecret(const char* flag, const std::string& path) {
  if (path.empty()) return "";
  std::ifstream file(path);
  std::string secret;
  if (!std::getline(file, secret) || secret.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--", flag, ": cannot be read, or its first line is empty"));
  }
  return secret;
}

}  // namespace flotilla::config
