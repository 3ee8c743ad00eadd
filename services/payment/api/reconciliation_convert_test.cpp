#include "payment/api/reconciliation_convert.h"

#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::payment {
namespace {

const absl::Time kLatest = absl::FromUnixSeconds(1'790'000'000);

v1::ImportStatementRequest Good() {
  v1::ImportStatementRequest request;
  auto& header = *request.mutable_header();
  header.set_statement_id("2026-09");
  header.mutable_start_time()->set_seconds(absl::ToUnixSeconds(kLatest - kMaxStatementPeriod));
  header.mutable_end_time()->set_seconds(absl::ToUnixSeconds(kLatest));
  header.set_size_bytes(1);
  return request;
}

TEST(ReconciliationConvert, AStatementMayTellOf31DaysThatHaveEnded) {
  const auto statement = Parse(Good(), kLatest);
  ASSERT_TRUE(statement.ok()) << statement.status();
  EXPECT_EQ(statement->statement_id, "2026-09");
  EXPECT_EQ(statement->end, kLatest);
  EXPECT_EQ(statement->end - statement->start, kMaxStatementPeriod);
}

TEST(ReconciliationConvert, NamesTheWrongFieldOfAHeader) {
  const auto refused = [](auto spoil, const char* field) {
    v1::ImportStatementRequest request = Good();
    spoil(*request.mutable_header());
    EXPECT_EQ(Field(Parse(request, kLatest).status()), field);
  };
  using Header = v1::ImportStatementRequest::Header;
  EXPECT_EQ(Field(Parse(v1::ImportStatementRequest(), kLatest).status()), "header");
  refused([](Header& h) { h.clear_statement_id(); }, "header.statement_id");
  refused([](Header& h) { h.clear_start_time(); }, "header.start_time");
  refused([](Header& h) { h.mutable_start_time()->set_seconds(-1); }, "header.start_time");
  refused([](Header& h) { h.clear_end_time(); }, "header.end_time");
  refused([](Header& h) { h.clear_size_bytes(); }, "header.size_bytes");
  refused([](Header& h) { h.set_size_bytes(-1); }, "header.size_bytes");
  refused([](Header& h) { *h.mutable_end_time() = h.start_time(); }, "header.end_time");
  // A microsecond more than 31 days.
  refused(
      [](Header& h) {
        h.mutable_start_time()->set_seconds(h.start_time().seconds() - 1);
        h.mutable_start_time()->set_nanos(999'999'000);
      },
      "header.end_time");
  // A microsecond later than the margin allows.
  refused(
      [](Header& h) {
        h.mutable_start_time()->set_seconds(h.end_time().seconds() - 1);
        h.mutable_end_time()->set_nanos(1'000);
      },
      "header.end_time");
}

TEST(ReconciliationConvert, OperatorsSayWhoTheyAreAndWhy) {
  v1::WithdrawStatementRequest withdraw;
  withdraw.set_statement_id("s");
  EXPECT_EQ(Field(Parse(withdraw, "olga").status()), "note");
  withdraw.set_note("why");
  EXPECT_EQ(Parse(withdraw, "").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Parse(withdraw, "olga")->note, "why");
  v1::ResolveDifferenceRequest resolve;
  EXPECT_EQ(Field(Parse(resolve, "olga").status()), "difference_id");
  resolve.set_difference_id(1);
  EXPECT_EQ(Field(Parse(resolve, "olga").status()), "resolution");
  resolve.set_resolution(v1::RESOLUTION_DISMISS);
  resolve.set_note(std::string(501, 'x'));
  EXPECT_EQ(Field(Parse(resolve, "olga").status()), "note");
}

}  // namespace
}  // namespace flotilla::payment
