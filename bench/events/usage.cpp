#include "usage.h"

#include <algorithm>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "process/process.h"
#include "testing/http.h"

namespace flotilla::bench {

Usage UsageOf(int pid) { return {.cpu_seconds = TreeSeconds(pid), .resident_mb = ResidentMb(pid)}; }

Ages AgesAt(int metrics_port) {
  Ages ages;
  const std::string page = HttpGet(metrics_port, "/metrics");
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    if (!absl::ConsumePrefix(&line, "flotilla_event_age_seconds_bucket{stage=\"")) continue;
    const std::string stage(line.substr(0, line.find('"')));
    line.remove_prefix(line.find("le=\"") + 4);
    double bound = std::numeric_limits<double>::infinity(), count = 0;
    static_cast<void>(absl::SimpleAtod(line.substr(0, line.find('"')), &bound));
    static_cast<void>(absl::SimpleAtod(absl::StripAsciiWhitespace(line.substr(line.rfind(' '))), &count));
    ages[stage].emplace_back(bound, count);
  }
  return ages;
}

double QuantileMs(const Ages& before, const Ages& after, const std::string& stage, double quantile) {
  const auto now = after.find(stage), then = before.find(stage);
  if (now == after.end() || now->second.empty()) return 0;
  const auto count = [&](std::size_t i) {
    return now->second[i].second - (then == before.end() ? 0 : then->second[i].second);
  };
  const double rank = quantile * count(now->second.size() - 1);
  double lower = 0, below = 0;
  for (std::size_t i = 0; i < now->second.size(); ++i) {
    const double upper = now->second[i].first;
    if (count(i) >= rank) {
      const double within = count(i) > below ? (rank - below) / (count(i) - below) : 1;
      return 1000 * (std::min(upper, 10.0) - lower) * within + 1000 * lower;
    }
    lower = upper;
    below = count(i);
  }
  return 0;
}

}  // namespace flotilla::bench
