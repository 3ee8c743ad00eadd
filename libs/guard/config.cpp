#include "guard/config.h"

#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"

ABSL_FLAG(std::string, user_limits, "*=200:400",
          "How often each user may call each method of an instance: <method or *>=<calls a second>:<burst>[,...], or "
          "<method>=off; empty: no limits.");
ABSL_FLAG(std::string, method_limits, "",
          "How often all together may call a method of an instance, in the form of --user_limits.");
ABSL_FLAG(absl::Duration, target_latency, absl::Seconds(1),
          "Fewer calls of a method may run at once while a tenth of them take longer than this; 0: no such limit.");

namespace flotilla::guard {

absl::StatusOr<std::shared_ptr<Admission>> FromFlags() {
  AdmissionOptions options;
  for (const auto& [name, text, limits] :
       {std::tuple("user_limits", absl::GetFlag(FLAGS_user_limits), &options.user_limits),
        std::tuple("method_limits", absl::GetFlag(FLAGS_method_limits), &options.method_limits)}) {
    absl::StatusOr<RateLimits> parsed = RateLimits::Parse(text);
    if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", parsed.status().message()));
    *limits = *std::move(parsed);
  }
  options.concurrency.target = absl::GetFlag(FLAGS_target_latency);
  if (options.concurrency.target < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--target_latency: must not be negative");
  }
  options.adaptive = options.concurrency.target > absl::ZeroDuration();
  return std::make_shared<Admission>(std::move(options));
}

}  // namespace flotilla::guard
