#include "payment/domain/statement_csv.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace flotilla::payment {
namespace {

constexpr std::array kColumns = {"provider_reference", "kind", "amount", "currency", "time"};
constexpr std::size_t kMaxReferenceBytes = 64;

absl::Status Wrong(int line, std::size_t column, const std::string& rule) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ", column ", kColumns[column], ": ", rule));
}

bool Printable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

absl::Status StatementReader::Add(std::string_view chunk) {
  for (std::size_t end; (end = chunk.find('\n')) != std::string_view::npos; chunk.remove_prefix(end + 1)) {
    const std::string_view part = chunk.substr(0, end);
    if (rest_.empty()) {
      if (absl::Status status = Line(part); !status.ok()) return status;
      continue;
    }
    rest_ += part.substr(0, kMaxLineBytes + 2);
    absl::Status status = Line(rest_);
    rest_.clear();
    if (!status.ok()) return status;
  }
  rest_ += chunk.substr(0, kMaxLineBytes + 2);
  if (rest_.size() <= kMaxLineBytes + 1) return absl::OkStatus();
  return Line(rest_);
}

absl::Status StatementReader::Finish() {
  if (!rest_.empty()) {
    if (absl::Status status = Line(rest_); !status.ok()) return status;
    rest_.clear();
  }
  return number_ > 0 ? absl::OkStatus() : Wrong(1, 0, "the header is missing");
}

absl::Status StatementReader::Line(std::string_view text) {
  ++number_;
  const absl::string_view line = absl::StripSuffix({text.data(), text.size()}, "\r");
  if (line.size() > kMaxLineBytes) {
    return absl::InvalidArgumentError(absl::StrCat("line ", number_, ": longer than ", kMaxLineBytes, " bytes"));
  }
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ',');
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    if (i >= fields.size()) return Wrong(number_, i, "missing");
    if (number_ == 1 && fields[i] != kColumns[i]) return Wrong(1, i, "the header must name this column here");
  }
  if (fields.size() > kColumns.size()) {
    return absl::InvalidArgumentError(absl::StrCat("line ", number_, ": more than ", kColumns.size(), " columns"));
  }
  if (number_ == 1) return absl::OkStatus();
  if (lines_.size() == kMaxLines) {
    return absl::ResourceExhaustedError(absl::StrCat("line ", number_, ": more than ", kMaxLines, " rows"));
  }
  StatementLine parsed{.line = number_, .reference = std::string(fields[0])};
  if (fields[0].empty() || fields[0].size() > kMaxReferenceBytes || !Printable(fields[0])) {
    return Wrong(number_, 0, "must be 1 to 64 printable ASCII characters");
  }
  if (fields[1] != "charge" && fields[1] != "refund") return Wrong(number_, 1, "must be charge or refund");
  parsed.kind = fields[1] == "charge" ? ProviderKind::kCharge : ProviderKind::kRefund;
  if (!absl::SimpleAtoi(fields[2], &parsed.amount.minor_units) || parsed.amount.minor_units < 1 ||
      parsed.amount.minor_units > kMaxAmount) {
    return Wrong(number_, 2, absl::StrCat("must be 1 to ", kMaxAmount, " minor units"));
  }
  if (fields[3].size() != 3 || !std::all_of(fields[3].begin(), fields[3].end(), absl::ascii_isupper)) {
    return Wrong(number_, 3, "must be an ISO 4217 code of three capital letters");
  }
  parsed.amount.currency = std::string(fields[3]);
  if (!absl::ParseTime(absl::RFC3339_full, fields[4], &parsed.occurred_at, nullptr) ||
      parsed.occurred_at < absl::UnixEpoch()) {
    return Wrong(number_, 4, "must be a time such as 2026-11-20T10:15:00Z");
  }
  lines_.push_back(std::move(parsed));
  return absl::OkStatus();
}

}  // namespace flotilla::payment
