#include "guard/rate_limits.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace flotilla::guard {
namespace {

constexpr char kAll[] = "*";
// Far beyond what a process can serve; far below where a token's nanoseconds or a burst's would be none or overflow.
constexpr double kLeast = 0.001, kMost = 1e6;

absl::Status Wrong(absl::string_view part, const char* rule) {
  return absl::InvalidArgumentError(absl::StrCat("\"", part, "\" ", rule));
}

bool ParseNumber(absl::string_view text, double* out) {
  return absl::SimpleAtod(text, out) && *out >= kLeast && *out <= kMost;
}

}  // namespace

absl::StatusOr<RateLimits> RateLimits::Parse(absl::string_view text) {
  RateLimits limits;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> sides = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const auto& [method, value] = sides;
    if (method != kAll &&
        (method.find('/') == absl::string_view::npos || method.find('.') == absl::string_view::npos)) {
      return Wrong(part, "must begin with package.Service/Method or *");
    }
    std::optional<Rate> rate;
    if (value != "off") {
      const std::pair<absl::string_view, absl::string_view> numbers = absl::StrSplit(value, absl::MaxSplits(':', 1));
      rate.emplace();
      if (!ParseNumber(numbers.first, &rate->per_second) || !ParseNumber(numbers.second, &rate->burst) ||
          rate->burst < 1) {
        return Wrong(part, "must end with =<calls a second>:<burst>, 0.001 to 1000000 and 1 to 1000000, or =off");
      }
    }
    if (!limits.by_method_.emplace(method, rate).second) return Wrong(part, "names a method again");
  }
  return limits;
}

std::optional<Rate> RateLimits::Of(absl::string_view method) const {
  auto found = by_method_.find(method);
  if (found == by_method_.end()) found = by_method_.find(kAll);
  return found == by_method_.end() ? std::nullopt : found->second;
}

}  // namespace flotilla::guard
