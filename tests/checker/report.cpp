#include "checker/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace flotilla::checker {
namespace {

constexpr std::size_t kKept = 10;

}  // namespace

std::string WithCommas(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3;) text.insert(i -= 3, ",");
  return text;
}

void Report::Violate(Promise promise, std::string what) {
  Finding& finding = at(promise);
  if (++finding.violations <= static_cast<std::int64_t>(kKept)) finding.first.push_back(std::move(what));
}

void Report::Note(Promise promise, std::string what) {
  if (at(promise).notes.size() < kKept) at(promise).notes.push_back(std::move(what));
}

void Report::Skip(Promise promise, std::string missing) { at(promise).missing = std::move(missing); }

void Report::Judged(Promise promise, std::int64_t count, const std::string& what) {
  std::string& judged = at(promise).judged;
  absl::StrAppend(&judged, judged.empty() ? "" : ", ", WithCommas(count), " ", what);
}

bool Report::ok() const {
  for (const Finding& finding : findings_) {
    if (finding.violations > 0) return false;
  }
  return true;
}

std::string Report::ToString() const {
  std::string text;
  for (int number = 1; number <= kPromises; ++number) {
    const Finding& finding = at(static_cast<Promise>(number));
    if (finding.violations > 0) {
      absl::StrAppend(&text, "I", number, " VIOLATED: ", absl::StrJoin(finding.first, "; "));
      const auto more = finding.violations - static_cast<std::int64_t>(finding.first.size());
      if (more > 0) absl::StrAppend(&text, "; and ", WithCommas(more), " more");
      absl::StrAppend(&text, "\n");
    } else if (!finding.missing.empty()) {
      absl::StrAppend(&text, "I", number, " skipped: no ", finding.missing, "\n");
    } else {
      absl::StrAppend(&text, "I", number, " ok: ", finding.judged, "\n");
    }
    for (const std::string& note : finding.notes) absl::StrAppend(&text, "   note: ", note, "\n");
  }
  return text;
}

}  // namespace flotilla::checker
