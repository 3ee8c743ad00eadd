#include "payment/store/reconciliation_store.h"

#include "absl/time/clock.h"
#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

class ReconciliationTest : public StoreTest {
 protected:
  // An order paid by the provider; returns its reference.
  std::string Paid(std::int64_t amount) {
    const std::string order = NewOrder();
    const std::string reference = "ref-" + order;
    EXPECT_EQ(Do(AwaitCommand{order, "payer", {"EUR", amount}, absl::Now() + absl::Hours(1), reference}).outcome,
              Outcome::kDone);
    Callback(reference, amount);
    return reference;
  }
  void Callback(const std::string& reference, std::int64_t amount) {
    EXPECT_EQ(Do(CallbackCommand{"evt-" + reference, reference, true, {"EUR", amount}}).outcome, Outcome::kDone);
  }
  static StatementLine Line(int line, const std::string& reference, std::int64_t amount,
                            ProviderKind kind = ProviderKind::kCharge) {
    return {line, reference, kind, {"EUR", amount}, absl::FromUnixSeconds(1000)};
  }
  // A statement of the time since the last test.
  ProviderStatement StatementOf(std::vector<StatementLine> lines) {
    return {absl::StrCat("s-", ++statements_), begin_, absl::Now() + absl::Seconds(1), std::move(lines)};
  }
  Reconciled ImportAndCompare(const ProviderStatement& statement) {
    EXPECT_EQ(reconciliation_.Import(statement), absl::OkStatus());
    return Compare(statement.statement_id);
  }
  Reconciled Compare(const std::string& statement_id) {
    const auto reconciled = reconciliation_.Reconcile(statement_id);
    EXPECT_TRUE(reconciled.ok()) << reconciled.status();
    return *reconciled;
  }
  std::vector<StoredDifference> Open(const std::string& statement_id) {
    return *reconciliation_.List({.statement_id = statement_id});
  }
  static std::int64_t Owed() { return -SumOf(7); }

  static inline int statements_ = 0;
  // Transfers of the tests before stay out of the period.
  const absl::Time begin_ = absl::FromUnixMicros(
      Query("SELECT (extract(epoch FROM coalesce(max(created_at), 'epoch')) * 1000000)::bigint + 1 FROM transfer"));
  ReconciliationStore reconciliation_{database_->options()};
};

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
  EXPECT_EQ(reconciliation_.Import(statement), absl::OkStatus());
  ProviderStatement other = statement;
  other.lines[0].amount.minor_units = 101;
  EXPECT_TRUE(absl::IsAlreadyExists(reconciliation_.Import(other)));
}

TEST_F(ReconciliationTest, DifferencesAreToldOnceAndCorrectedByOperators) {
  const std::string a = Paid(100), b = Paid(200), c = Paid(300);
  const ProviderStatement statement =
      StatementOf({Line(2, a, 110), Line(3, b, 200), Line(4, b, 200), Line(5, "stranger", 7)});
  EXPECT_EQ(ImportAndCompare(statement).open, 4);
  const Reconciled again = Compare(statement.statement_id);
  EXPECT_EQ(again.open, 4);
  EXPECT_FALSE(again.told);
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE stream_id = 'statement/" + statement.statement_id + "'"), 1);
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
    EXPECT_GT(resolved->correction_id, 0);
    expected += more.at(open.difference.kind_of);
    EXPECT_EQ(Owed(), expected);
    EXPECT_EQ(reconciliation_.Resolve(resolution)->correction_id, resolved->correction_id);
    EXPECT_EQ(Owed(), expected);
    EXPECT_TRUE(
        absl::IsFailedPrecondition(reconciliation_.Resolve({open.difference_id, false, "olga", "no"}).status()));
  }
  EXPECT_EQ(Compare(statement.statement_id).open, 0);
  EXPECT_EQ(Compare(statement.statement_id).open, 0);  // closed
}

TEST_F(ReconciliationTest, ADismissedDifferenceMovesNothingAndStaysAway) {
  const ProviderStatement statement = StatementOf({Line(2, "stranger", 7)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  const std::int64_t owed = Owed();
  const std::int64_t id = Open(statement.statement_id).front().difference_id;
  EXPECT_EQ(reconciliation_.Resolve({id, false, "olga", "not ours"})->state, DifferenceState::kDismissed);
  EXPECT_EQ(Owed(), owed);
  EXPECT_EQ(Compare(statement.statement_id).open, 0);
  EXPECT_TRUE(absl::IsNotFound(reconciliation_.Resolve({1 << 30, false, "olga", "x"}).status()));
}

TEST_F(ReconciliationTest, WhatArrivesLateClosesItsDifference) {
  const std::string order = NewOrder(), reference = "ref-" + order;
  Do(AwaitCommand{order, "payer", {"EUR", 40}, absl::Now() + absl::Hours(1), reference});
  const ProviderStatement statement = StatementOf({Line(2, reference, 40)});
  EXPECT_EQ(ImportAndCompare(statement).open, 1);
  EXPECT_EQ(Open(statement.statement_id).front().order_id, order);
  EXPECT_EQ(*reconciliation_.Due(absl::ZeroDuration()), statement.statement_id);
  EXPECT_FALSE(reconciliation_.Due(absl::Hours(1))->has_value());
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
  EXPECT_EQ(reconciliation_.Resolve({twice.difference_id, false, "olga", "twice"})->state, DifferenceState::kDismissed);
}

}  // namespace
}  // namespace flotilla::payment
