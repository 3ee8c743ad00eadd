#include "config/config.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace flotilla::config {
namespace {

// absl would read these as part of the command line, and so put what they name above the environment.
bool ReadsFlagsItself(absl::string_view name) {
  return name == "flagfile" || name == "fromenv" || name == "tryfromenv" || name == "undefok";
}

// The value where argv[i] is --flagfile=<path> or --flagfile <path>; moves i to the last word of it.
absl::StatusOr<std::string> TakeFlagfile(int argc, char** argv, int& i) {
  absl::string_view word = argv[i];
  if (!absl::ConsumePrefix(&word, "--") && !absl::ConsumePrefix(&word, "-")) return std::string();
  if (!absl::ConsumePrefix(&word, "flagfile")) return std::string();
  if (absl::ConsumePrefix(&word, "=") && !word.empty()) return std::string(word);
  if (!word.empty()) return std::string();  // another flag
  if (absl::EndsWith(argv[i], "=") || i + 1 == argc)
    return absl::InvalidArgumentError("--flagfile: a path must follow");
  return std::string(argv[++i]);
}

// `source` says where the value stands: a wrong one is reported with it. The value itself is not repeated: it may be
// secret.
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
    if (ReadsFlagsItself(name))
      return absl::InvalidArgumentError(absl::StrCat(source, ": --", name, " cannot stand in a file"));
    if (auto status = Set(name, std::string(line.substr(equals - 1)), source); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment() {
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (ReadsFlagsItself(name)) continue;
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
  usage.contains_help_flags = [](absl::string_view file) { return !absl::StrContains(file, "absl/flags/"); };
  usage.contains_helpshort_flags = usage.contains_help_flags;
  absl::SetFlagsUsageConfig(usage);

  static const bool described = [program = argv[0]] {
    absl::SetProgramUsageMessage(absl::StrCat(program,
                                              " [--flag=value ...]\nEach flag is also FLOTILLA_<NAME> in the "
                                              "environment and a line in the file of --flagfile=<path>."));
    return true;
  }();
  (void)described;  // absl takes the message once a process

  std::vector<char*> rest;
  std::string path;
  for (int i = 0; i < argc; ++i) {
    const int word = i;
    if (i > 0) {
      absl::StatusOr<std::string> named = TakeFlagfile(argc, argv, i);
      if (!named.ok()) return named.status();
      if (!named->empty()) {
        path = *std::move(named);
        continue;
      }
    }
    rest.push_back(argv[word]);
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
