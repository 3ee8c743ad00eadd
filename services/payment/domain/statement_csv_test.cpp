#include "payment/domain/statement_csv.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

constexpr char kHeader[] = "provider_reference,kind,amount,currency,time\n";

// What Add or Finish says of a whole file.
std::string ErrorOf(const std::string& file) {
  StatementReader reader;
  absl::Status status = reader.Add(file);
  if (status.ok()) status = reader.Finish();
  return std::string(status.message());
}

TEST(StatementReader, TakesChunksOfAnySize) {
  const std::string file = absl::StrCat(kHeader, "ref-1,charge,1250,EUR,2026-11-20T10:15:00Z\r\n",
                                        "ref-1,refund,50,EUR,2026-11-20T10:16:00.5Z");
  for (std::size_t size = 1; size <= file.size(); ++size) {
    StatementReader reader;
    for (std::size_t at = 0; at < file.size(); at += size) ASSERT_TRUE(reader.Add(file.substr(at, size)).ok()) << size;
    ASSERT_TRUE(reader.Finish().ok()) << size;
    const std::vector<StatementLine> lines = std::move(reader).lines();
    ASSERT_EQ(lines.size(), 2u) << size;
    EXPECT_EQ(lines[0].line, 2);
    EXPECT_EQ(lines[0].reference, "ref-1");
    EXPECT_EQ(lines[0].amount, (Money{"EUR", 1250}));
    EXPECT_EQ(lines[1].kind, ProviderKind::kRefund);
    EXPECT_EQ(lines[1].occurred_at - lines[0].occurred_at, absl::Milliseconds(60500));
  }
}

TEST(StatementReader, NamesLineAndColumn) {
  EXPECT_EQ(ErrorOf(""), "line 1, column provider_reference: the header is missing");
  EXPECT_EQ(ErrorOf("provider_reference,sort\n"), "line 1, column kind: the header must name this column here");
  const auto error = [](const std::string& line) { return ErrorOf(absl::StrCat(kHeader, line)); };
  const std::string time = "2026-11-20T10:15:00Z";
  EXPECT_EQ(error(",charge,1,EUR," + time),
            "line 2, column provider_reference: must be 1 to 64 printable ASCII characters");
  EXPECT_EQ(error("a,fee,1,EUR," + time), "line 2, column kind: must be charge or refund");
  for (const char* amount : {"0", "-1", "1.5", "", "99999999999999999999", "1000000000000001"}) {
    EXPECT_EQ(error(absl::StrCat("a,charge,", amount, ",EUR,", time)),
              "line 2, column amount: must be 1 to 1000000000000000 minor units");
  }
  EXPECT_EQ(error("a,charge,1,eur," + time),
            "line 2, column currency: must be an ISO 4217 code of three capital letters");
  EXPECT_EQ(error("a,charge,1,EUR,yesterday"), "line 2, column time: must be a time such as 2026-11-20T10:15:00Z");
  EXPECT_EQ(error("a,charge,1,EUR"), "line 2, column time: missing");
  EXPECT_EQ(error("a,charge,1,EUR," + time + ",x"), "line 2: more than 5 columns");
  EXPECT_EQ(error("\n"), "line 2, column kind: missing");
}

TEST(StatementReader, HasLimits) {
  StatementReader endless;  // a line without an end is refused before it fills the memory
  ASSERT_TRUE(endless.Add(kHeader).ok());
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) status = endless.Add(std::string(100, 'x'));
  EXPECT_EQ(status.message(), "line 2: longer than 256 bytes");
  StatementReader full;
  ASSERT_TRUE(full.Add(kHeader).ok());
  const std::string line = "a,charge,1,EUR,2026-11-20T10:15:00Z\n";
  for (std::size_t i = 0; i < StatementReader::kMaxLines; ++i) ASSERT_TRUE(full.Add(line).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(full.Add(line)));
}

}  // namespace
}  // namespace flotilla::payment
