#include "payment/domain/reconciliation.h"

#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

constexpr auto kCharge = ProviderKind::kCharge;
constexpr auto kRefund = ProviderKind::kRefund;

StatementLine Line(int line, const std::string& reference, std::int64_t amount, ProviderKind kind = kCharge,
                   const std::string& currency = "EUR") {
  return {.line = line, .reference = reference, .kind = kind, .amount = {currency, amount}};
}
LedgerEntry Entry(std::int64_t id, const std::string& reference, std::int64_t amount, ProviderKind kind = kCharge) {
  return {.transfer_id = id, .reference = reference, .kind = kind, .amount = {"EUR", amount}, .due = true};
}

TEST(Compare, EqualsMatchWhateverTheirOrder) {
  const std::vector<StatementLine> lines = {Line(2, "a", 10), Line(3, "b", 30, kRefund), Line(4, "b", 20, kRefund)};
  const std::vector<LedgerEntry> entries = {Entry(1, "b", 20, kRefund), Entry(2, "b", 30, kRefund), Entry(3, "a", 10)};
  const Comparison comparison = Compare(lines, entries);
  EXPECT_TRUE(comparison.differences.empty());
  ASSERT_EQ(comparison.matches.size(), 3u);
  EXPECT_EQ(comparison.matches[0].transfer_id, 3);
  EXPECT_EQ(comparison.matches[1].transfer_id, 2);
  EXPECT_EQ(comparison.matches[2].transfer_id, 1);
}

TEST(Compare, EachDifferenceHasItsClass) {
  const std::vector<StatementLine> lines = {Line(2, "none", 10), Line(3, "other", 11), Line(4, "twice", 5),
                                            Line(5, "twice", 5), Line(6, "again", 7)};
  LedgerEntry again = Entry(4, "again", 9);
  again.taken = true;
  const std::vector<LedgerEntry> entries = {Entry(1, "other", 10), Entry(2, "twice", 5), Entry(3, "silent", 8), again};
  const Comparison comparison = Compare(lines, entries);
  EXPECT_EQ(comparison.matches.size(), 1u);
  std::map<std::string, DifferenceClass> classes;
  for (const Difference& difference : comparison.differences) classes[difference.reference] = difference.kind_of;
  const std::map<std::string, DifferenceClass> expected = {{"none", DifferenceClass::kMissingHere},
                                                           {"other", DifferenceClass::kAmountDiffers},
                                                           {"twice", DifferenceClass::kDuplicate},
                                                           {"again", DifferenceClass::kDuplicate},
                                                           {"silent", DifferenceClass::kMissingThere}};
  EXPECT_EQ(classes, expected);
}

TEST(Compare, CurrenciesAreNeverMixed) {
  const std::vector<StatementLine> lines = {Line(2, "a", 10, kCharge, "USD")};
  const std::vector<LedgerEntry> entries = {Entry(1, "a", 10)};
  const Comparison comparison = Compare(lines, entries);
  EXPECT_TRUE(comparison.matches.empty());
  ASSERT_EQ(comparison.differences.size(), 2u);
  EXPECT_EQ(comparison.differences[0].kind_of, DifferenceClass::kMissingThere);
  EXPECT_EQ(comparison.differences[1].kind_of, DifferenceClass::kMissingHere);
}

TEST(Compare, AnEntryOfAnotherPeriodMatchesButIsNotMissing) {
  LedgerEntry entry = Entry(1, "a", 10);
  entry.due = false;
  const std::vector<LedgerEntry> entries = {entry};
  EXPECT_TRUE(Compare({}, entries).differences.empty());
  const std::vector<StatementLine> same = {Line(2, "a", 10)}, other = {Line(2, "a", 11)};
  EXPECT_EQ(Compare(same, entries).matches.size(), 1u);
  EXPECT_EQ(Compare(other, entries).differences[0].kind_of, DifferenceClass::kMissingHere);
}

TEST(OwedMore, IsWhatTheStatementAddsToWhatTheProviderOwes) {
  EXPECT_EQ(OwedMore({.kind = kCharge, .theirs = 12, .ours = 10}), 2);
  EXPECT_EQ(OwedMore({.kind = kCharge, .theirs = 0, .ours = 10}), -10);
  EXPECT_EQ(OwedMore({.kind = kRefund, .theirs = 12, .ours = 10}), -2);
}

}  // namespace
}  // namespace flotilla::payment
