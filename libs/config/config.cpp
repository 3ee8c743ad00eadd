#include "config/config.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace flotilla::config {
namespace {

constexpr char kFlagfile[] = "--flagfile=";

// `source` says where the value stands: a wrong one is reported with it. The value itself is not repeated: it may be secret.
absl::Status Set(absl::string_view name, const std::string& value, absl::string_view source) {
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  if (flag == nullptr) return absl::InvalidArgumentError(absl::StrCat(source, ": there is no flag --", name));
  std::string error;
  if (flag->ParseFrom(value, &error)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source, ": malformed value of --", name));
}

absl::Status ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("--flagfile: cannot read ", path));
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    absl::string_view line = absl::StripAsciiWhitespace(text);
    if (line.empty() || line.front() == '#') continue;
    const std::string source = absl::StrCat(path, ":", number);
    const std::size_t equals = line.find('=');
    if (!absl::ConsumePrefix(&line, "--") || equals == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": expected --name=value"));
    }
    const absl::string_view name = line.substr(0, equals - 2);
    if (auto status = Set(name, std::string(line.substr(equals - 1)), source); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment() {
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    const std::string variable = absl::StrCat("FLOTILLA_", absl::AsciiStrToUpper(name));
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) continue;
    if (auto status = Set(name, value, variable); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Parse(int argc, char** argv) {
  absl::FlagsUsageConfig usage;
  // --help shows what is ours, wherever it is defined.
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::StrContains(file, "libs/") || absl::StrContains(file, "services/") || absl::StrContains(file, "tests/");
  };
  usage.contains_helpshort_flags = usage.contains_help_flags;
  absl::SetFlagsUsageConfig(usage);

  // absl would read the file as part of the command line and so put it above the environment.
  std::vector<char*> rest;
  std::string path;
  for (int i = 0; i < argc; ++i) {
    if (i > 0 && absl::StartsWith(argv[i], kFlagfile)) {
      path = argv[i] + sizeof(kFlagfile) - 1;
    } else {
      rest.push_back(argv[i]);
    }
  }
  if (const char* variable = std::getenv("FLOTILLA_FLAGFILE"); path.empty() && variable != nullptr) path = variable;
  if (!path.empty()) {
    if (auto status = ReadFile(path); !status.ok()) return status;
  }
  if (auto status = ReadEnvironment(); !status.ok()) return status;
  const std::vector<char*> positional = absl::ParseCommandLine(static_cast<int>(rest.size()), rest.data());
  if (positional.size() > 1) return absl::InvalidArgumentError(absl::StrCat("unexpected argument ", positional[1]));
  return absl::OkStatus();
}

}  // namespace flotilla::config
