#include "payment/store/reconciliation_store.h"

#include "payment/store/reconciliation_fixture.h"

namespace flotilla::payment {
namespace {

TEST_F(ReconciliationTest, WhatAgreesIsClosedAtOnce) {
  const std::string a = Paid(100), b = Paid(200);
  Do(RefundCommand{b.substr(4), "r1", Money{"EUR", 50}});
  const ProviderStatement statement =
      StatementOf({Line(2, a, 100), Line(3, b, 200), Line(4, b, 50, ProviderKind::kRefund)});
  const Reconciled reconciled = ImportAndCompare(statement);
  EXPECT_EQ(reconciled.matched, 3);
  EXPECT_EQ(reconciled.open, 0);
  EXPECT_FALSE(reconciled.told);
  EXPECT_EQ(Query("SELECT count(*) FROM provider_statement WHERE state = 2 AND statement_id = '" +
                  statement.statement_id + "'"),
            1);
}

TEST_F(ReconciliationTest, DifferencesAreToldOnceAndCorrectedByOperators) {
  const std::string a = Paid(100), b = Paid(200);
  Paid(300);  // in no line
  const ProviderStatement statement =
      StatementOf({Line(2, a, 110), Line(3, b, 200), Line(4, b, 200), Line(5, "stranger", 7)});
  EXPECT_EQ(ImportAndCompare(statement).open, 4);
  const Reconciled again = Compare(statement.statement_id);
  EXPECT_EQ(again.open, 4);
  EXPECT_FALSE(again.told);
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE stream_id = 'statement/" + statement.statement_id + "'"), 1);
  // Dated by the database, like the differences.
  EXPECT_EQ(Query("SELECT count(*) FROM event, difference WHERE stream_id = 'statement/' || statement_id"
                  " AND occurred_at = created_at AND statement_id = '" +
                  statement.statement_id + "'"),
            4);
  const std::int64_t owed = Owed();
  // By class: what the provider owes more by its statement.
  const std::map<DifferenceClass, std::int64_t> more = {{DifferenceClass::kMissingHere, 7},
                                                        {DifferenceClass::kMissingThere, -300},
                                                        {DifferenceClass::kAmountDiffers, 10},
                                                        {DifferenceClass::kDuplicate, 200}};
  std::int64_t expected = owed;
  for (const StoredDifference& open : Open(statement.statement_id)) {
    EXPECT_EQ(OwedMore(open.difference), more.at(open.difference.kind_of));
    const Resolution resolution{open.difference_id, true, "olga", "as the bank says"};
    const auto resolved = reconciliation_.Resolve(resolution);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_GT(resolved->difference.correction_id, 0);
    expected += more.at(open.difference.kind_of);
    EXPECT_EQ(Owed(), expected);
    EXPECT_EQ(reconciliation_.Resolve(resolution)->difference.correction_id, resolved->difference.correction_id);
    EXPECT_EQ(Owed(), expected);
    EXPECT_EQ(Resolve(open.difference_id, false, "no"), ResolutionOutcome::kClosed);
  }
  EXPECT_EQ(Compare(statement.statement_id).open, 0);
  EXPECT_EQ(Compare(statement.statement_id).open, 0);  // closed
}

TEST_F(ReconciliationTest, ADismissedDifferenceMovesNothingAndStaysAway) {
  const ProviderStatement statement = StatementOf({Line(2, "stranger", 7)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  const std::int64_t owed = Owed();
  const std::int64_t id = Open(statement.statement_id).front().difference_id;
  EXPECT_EQ(reconciliation_.Resolve({id, false, "olga", "not ours"})->difference.state, DifferenceState::kDismissed);
  EXPECT_EQ(Owed(), owed);
  EXPECT_EQ(Compare(statement.statement_id).open, 0);
  EXPECT_EQ(Resolve(1 << 30, false, "x"), ResolutionOutcome::kUnknown);
}

TEST_F(ReconciliationTest, WhatArrivesLateClosesItsDifference) {
  const std::string order = NewOrder(), reference = "ref-" + order;
  Do(AwaitCommand{order, "payer", {"EUR", 40}, absl::Now() + absl::Hours(1), reference});
  const ProviderStatement statement = StatementOf({Line(2, reference, 40)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  EXPECT_EQ(Open(statement.statement_id).front().order_id, order);
  Callback(reference, 40);
  const Reconciled reconciled = Compare(statement.statement_id);
  EXPECT_EQ(reconciled.open, 0);
  EXPECT_EQ(reconciled.matched, 1);
  EXPECT_EQ(Query("SELECT state FROM difference WHERE provider_reference = '" + reference + "'"), 2);
}

TEST_F(ReconciliationTest, TheNextStatementMayHaveIt) {
  const std::string a = Paid(60);
  const ProviderStatement first = StatementOf({});
  EXPECT_EQ(ImportAndCompare(first).open, 1);
  const ProviderStatement second = StatementOf({Line(2, a, 60)});
  EXPECT_EQ(ImportAndCompare(second).open, 0);
  EXPECT_EQ(Compare(first.statement_id).open, 0);
  // The same line once more is one too many.
  const ProviderStatement third = StatementOf({Line(2, a, 60)});
  EXPECT_EQ(ImportAndCompare(third).open, 1);
  const StoredDifference twice = Open(third.statement_id).front();
  EXPECT_EQ(twice.difference.kind_of, DifferenceClass::kDuplicate);
  EXPECT_EQ(Resolve(twice.difference_id, false, "twice"), ResolutionOutcome::kResolved);
}

// What an operator has taken for the provider's oversight is in the statement of the next day after all.
TEST_F(ReconciliationTest, ALineMatchesWhatWasDismissedAsMissingThere) {
  const std::string a = Paid(60), b = Paid(70);
  const ProviderStatement first = StatementOf({});
  EXPECT_EQ(ImportAndCompare(first).open, 2);
  for (const StoredDifference& missing : Open(first.statement_id)) {
    EXPECT_EQ(Resolve(missing.difference_id, false, "they are late"), ResolutionOutcome::kResolved);
  }
  EXPECT_EQ(Compare(first.statement_id).open, 0);
  const ProviderStatement second = StatementOf({Line(2, a, 60), Line(3, b, 71)});
  const Reconciled reconciled = ImportAndCompare(second);
  EXPECT_EQ(reconciled.matched, 1);
  ASSERT_EQ(reconciled.open, 1);
  const StoredDifference other = Open(second.statement_id).front();
  EXPECT_EQ(other.difference.kind_of, DifferenceClass::kAmountDiffers);
  EXPECT_EQ(Compare(second.statement_id).open, 1);
  // It is the second one's to tell now.
  EXPECT_EQ(ImportAndCompare(StatementOf({})).open, 0);
  const std::int64_t owed = Owed();
  EXPECT_EQ(Resolve(other.difference_id, true, "as they say"), ResolutionOutcome::kResolved);
  EXPECT_EQ(Owed(), owed + 1);
}

// The operator looked at a list that was a moment old.
TEST_F(ReconciliationTest, WhatIsGoneIsNotCorrected) {
  const std::string order = NewOrder(), reference = "ref-" + order;
  Do(AwaitCommand{order, "payer", {"EUR", 40}, absl::Now() + absl::Hours(1), reference});
  const ProviderStatement statement = StatementOf({Line(2, reference, 40)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  const std::int64_t id = Open(statement.statement_id).front().difference_id;
  Callback(reference, 40);
  const std::int64_t owed = Owed();
  EXPECT_EQ(Resolve(id, true, "book it"), ResolutionOutcome::kGone);
  EXPECT_EQ(Owed(), owed);
  EXPECT_EQ(Query("SELECT count(*) FROM transfer WHERE kind = 12 AND reference = '" + absl::StrCat(id) + "'"), 0);
  EXPECT_EQ(Compare(statement.statement_id).open, 0);
}

TEST_F(ReconciliationTest, ACorrectionThatTheLedgerCannotHoldIsRefused) {
  const ProviderStatement statement = StatementOf({Line(2, "stranger", 7)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  const std::int64_t id = Open(statement.statement_id).front().difference_id;
  const std::int64_t more = kMostOwed - Owed() - 6;
  const auto move = [&](std::int64_t amount) {
    Query(absl::StrCat("WITH moved AS (UPDATE account SET balance = balance + CASE kind WHEN 7 THEN -1 ELSE 1 END * ",
                       amount, " WHERE currency = 'EUR' AND kind IN (3, 7) RETURNING 1) SELECT count(*) FROM moved"));
  };
  move(more);
  EXPECT_EQ(Resolve(id, true, "book it"), ResolutionOutcome::kBalanceLimit);
  move(-more);
  EXPECT_EQ(Resolve(id, true, "book it"), ResolutionOutcome::kResolved);
}

}  // namespace
}  // namespace flotilla::payment
