// The external provider's statement as it comes: CSV without quotes, UTF-8, lines ended by \n or \r\n. The first line
// is
//   provider_reference,kind,amount,currency,time
// and the others such as
//   01J9ZK...,charge,1250,EUR,2026-11-20T10:15:00Z
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "payment/domain/reconciliation.h"

namespace flotilla::payment {

// Takes the file in chunks of any size. Holds at most one unfinished line beside what it has parsed.
class StatementReader {
 public:
  static constexpr std::size_t kMaxLineBytes = 256;
  static constexpr std::size_t kMaxLines = 50'000;

  // INVALID_ARGUMENT naming line and column; RESOURCE_EXHAUSTED beyond kMaxLines. Nothing more may be added then.
  absl::Status Add(std::string_view chunk);
  // The end of the file, whose last line need not be ended. The same errors.
  absl::Status Finish();
  std::vector<StatementLine> lines() && { return std::move(lines_); }

 private:
  absl::Status Line(std::string_view text);

  std::string rest_;  // of the last chunk
  int number_ = 0;    // of the line
  std::vector<StatementLine> lines_;
};

}  // namespace flotilla::payment
