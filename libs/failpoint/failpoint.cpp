#include "failpoint/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "telemetry/log.h"

ABSL_FLAG(std::string, failpoints, "", "What fails where: name=kind[:duration][@n];... (libs/failpoint/failpoint.h).");

namespace flotilla::failpoint {
namespace {

enum class Kind { kCrash, kDelay, kError, kLost, kRefuse, kTrace };

struct Rule {
  std::string name;
  bool prefix = false;
  Kind kind = Kind::kCrash;
  absl::Duration delay;
  int nth = 0;  // 0: every time
};

bool Matches(const Rule& rule, absl::string_view name) {
  return rule.prefix ? absl::StartsWith(name, rule.name) : name == rule.name;
}

bool ParseKind(absl::string_view text, Rule& rule) {
  if (text == "crash") {
    rule.kind = Kind::kCrash;
  } else if (text == "error") {
    rule.kind = Kind::kError;
  } else if (text == "lost") {
    rule.kind = Kind::kLost;
  } else if (text == "refuse") {
    rule.kind = Kind::kRefuse;
  } else if (text == "trace") {
    rule.kind = Kind::kTrace;
  } else if (absl::StartsWith(text, "delay:")) {
    rule.kind = Kind::kDelay;
    return absl::ParseDuration(text.substr(6), &rule.delay);
  } else {
    return false;
  }
  return true;
}

bool ParseRule(absl::string_view text, Rule& rule) {
  const std::vector<std::string> sides = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (sides.size() != 2 || sides[0].empty()) return false;
  const std::vector<std::string> what = absl::StrSplit(sides[1], absl::MaxSplits('@', 1));
  if (what.size() == 2 && (!absl::SimpleAtoi(what[1], &rule.nth) || rule.nth < 1)) return false;
  rule.prefix = sides[0].back() == '*';
  rule.name = rule.prefix ? sides[0].substr(0, sides[0].size() - 1) : sides[0];
  return ParseKind(what[0], rule);
}

// A test whose places are misspelt must not pass.
std::vector<Rule> ReadFlag() {
  std::vector<Rule> rules;
  const std::string flag = absl::GetFlag(FLAGS_failpoints);
  for (const absl::string_view text : absl::StrSplit(flag, ';', absl::SkipEmpty())) {
    if (!ParseRule(text, rules.emplace_back())) {
      std::cerr << "--failpoints: cannot read \"" << text << "\"\n";
      _exit(2);
    }
  }
  return rules;
}

const std::vector<Rule>& Rules() {
  static const std::vector<Rule> rules = ReadFlag();
  return rules;
}

}  // namespace

void Declare(absl::string_view what) {
  for (const char* when : {".before", ".after"}) {
    const std::string name = absl::StrCat(what, when);
    for (const Rule& rule : Rules()) {
      if (rule.kind == Kind::kTrace && Matches(rule, name)) telemetry::Info("failpoint declared", {{"name", name}});
    }
  }
}

absl::Status Reach(absl::string_view name) {
  const std::vector<Rule>& rules = Rules();
  if (rules.empty()) return absl::OkStatus();
  int count = 0;
  {
    static auto* const mutex = new std::mutex;
    static auto* const reached = new std::map<std::string, int>;
    const std::lock_guard lock(*mutex);
    count = ++reached->try_emplace(std::string(name)).first->second;
  }
  for (const Rule& rule : rules) {
    if (!Matches(rule, name) || (rule.nth != 0 && rule.nth != count)) continue;
    switch (rule.kind) {
      case Kind::kCrash:
        kill(getpid(), SIGKILL);
        for (;;) pause();
      case Kind::kDelay:
        absl::SleepFor(rule.delay);
        break;
      case Kind::kError:
        return absl::UnavailableError(absl::StrCat("failpoint ", name));
      case Kind::kLost:
        return absl::UnknownError(absl::StrCat("failpoint ", name, ": the reply was lost"));
      case Kind::kRefuse:
        return absl::FailedPreconditionError(absl::StrCat("failpoint ", name));
      case Kind::kTrace:
        if (count == 1) telemetry::Info("failpoint", {{"name", std::string(name)}});
        break;
    }
  }
  return absl::OkStatus();
}

}  // namespace flotilla::failpoint
