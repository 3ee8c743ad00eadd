// The provider's statements: however the file is cut into chunks, it reads the same.
#include <algorithm>

#include "fuzz/fuzz.h"
#include "payment/domain/statement_csv.h"

namespace flotilla::payment {
namespace {

struct Reading {
  absl::Status status;
  std::vector<StatementLine> lines;
};

Reading Read(std::string_view text, std::size_t chunk) {
  StatementReader reader;
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    if (absl::Status status = reader.Add(text.substr(at, chunk)); !status.ok()) return {status, {}};
  }
  absl::Status status = reader.Finish();
  return {status, std::move(reader).lines()};
}

void Run(std::string_view input) {
  const std::size_t chunk = static_cast<std::size_t>(fuzz::TakeChoice(input, 64)) + 1;
  const Reading whole = Read(input, std::max<std::size_t>(input.size(), 1)), cut = Read(input, chunk);
  fuzz::Require(whole.status == cut.status, "chunks do not change the answer");
  fuzz::Require(whole.lines.size() == cut.lines.size(), "nor the lines");
  for (std::size_t i = 0; i < whole.lines.size(); ++i) {
    const StatementLine &a = whole.lines[i], &b = cut.lines[i];
    fuzz::Require(a.line == b.line && a.reference == b.reference && a.amount.minor_units == b.amount.minor_units &&
                      a.occurred_at == b.occurred_at,
                  "nor what they say");
    fuzz::Require(a.amount.minor_units > 0 && a.amount.minor_units <= kMaxAmount, "an amount is money");
  }
}

}  // namespace
}  // namespace flotilla::payment

FLOTILLA_FUZZ(flotilla::payment::Run)
