#include "payment/store/statement_store.h"

#include "payment/store/reconciliation_fixture.h"

namespace flotilla::payment {
namespace {

using StatementStoreTest = ReconciliationTest;

TEST_F(StatementStoreTest, AnIdHasOneContent) {
  const ProviderStatement statement = StatementOf({Line(2, "stranger", 100)});
  EXPECT_EQ(*imports_.Import(statement), ImportOutcome::kStored);
  EXPECT_EQ(*imports_.Import(statement), ImportOutcome::kStored);
  ProviderStatement other = statement;
  other.lines[0].amount.minor_units = 101;
  EXPECT_EQ(*imports_.Import(other), ImportOutcome::kReused);
  EXPECT_EQ(Query("SELECT count(*) FROM statement_line WHERE statement_id = '" + statement.statement_id + "'"), 1);
}

TEST_F(StatementStoreTest, EachHasItsTurnAndOneThatFailsComesMoreAndMoreSeldom) {
  Query(
      "WITH closed AS (UPDATE provider_statement SET state = 2, reconciled_at = now() WHERE state = 1 RETURNING 1) "
      "SELECT count(*) FROM closed");
  const ProviderStatement bad = StatementOf({Line(2, "bad", 1)}), good = StatementOf({Line(2, "good", 1)});
  for (const auto& statement : {bad, good}) EXPECT_EQ(*imports_.Import(statement), ImportOutcome::kStored);
  const auto due = [&] { return imports_.ClaimDue(absl::Hours(1))->value_or(""); };
  const auto age = [&](int hours) {
    Query(absl::StrCat("WITH aged AS (UPDATE provider_statement SET attempted_at = attempted_at - interval '", hours,
                       " hours' WHERE state = 1 RETURNING 1) SELECT count(*) FROM aged"));
  };
  std::set<std::string> first = {due(), due()};
  EXPECT_EQ(first, (std::set<std::string>{bad.statement_id, good.statement_id}));
  EXPECT_EQ(due(), "");
  EXPECT_EQ(imports_.NoteFailure(bad.statement_id, "timeout\xff"), absl::OkStatus());
  Compare(good.statement_id);
  age(1);
  EXPECT_EQ(due(), good.statement_id);
  Compare(good.statement_id);
  age(1);
  EXPECT_EQ(due(), bad.statement_id);  // two hours after its first try
  Compare(good.statement_id);
  age(3);
  EXPECT_EQ(due(), good.statement_id);
  EXPECT_EQ(due(), "");
  age(1);
  EXPECT_EQ(due(), bad.statement_id);  // four hours after its second one
  const auto listed = imports_.List({.limit = 1000});
  const auto it = std::find_if(listed->begin(), listed->end(),
                               [&](const StoredStatement& s) { return s.statement_id == bad.statement_id; });
  EXPECT_EQ(it->failed_attempts, 3);
  EXPECT_EQ(it->error, "timeout\\377");
  EXPECT_FALSE(it->compared_at.has_value());
  Compare(bad.statement_id);
  EXPECT_EQ(Query("SELECT attempts FROM provider_statement WHERE statement_id = '" + bad.statement_id + "'"), 0);
}

// The file of the day before came once more under today's id, and took what the right one has.
TEST_F(StatementStoreTest, AWithdrawnStatementLeavesNothingBehindButItsRecord) {
  const std::string a = Paid(60), b = Paid(70);
  const ProviderStatement wrong = StatementOf({Line(2, a, 60), Line(3, "stranger", 5)});
  const ProviderStatement right = StatementOf({Line(2, b, 70)});
  EXPECT_EQ(ImportAndCompare(wrong).open, 2);  // the stranger, and b
  EXPECT_EQ(ImportAndCompare(right).open, 0);
  EXPECT_EQ(Compare(wrong.statement_id).open, 1);
  EXPECT_EQ(Withdraw("of nobody"), WithdrawalOutcome::kUnknown);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Withdraw(wrong.statement_id), WithdrawalOutcome::kWithdrawn);
  EXPECT_TRUE(Open(wrong.statement_id).empty());
  EXPECT_EQ(Compare(wrong.statement_id).matched, 0);
  EXPECT_EQ(*imports_.Import(wrong), ImportOutcome::kWithdrawn);
  // The closed one beside it is compared again, since what the withdrawn one had is missing there now.
  EXPECT_EQ(Query("SELECT state FROM provider_statement WHERE attempted_at IS NULL AND statement_id = '" +
                  right.statement_id + "'"),
            1);
  EXPECT_EQ(Compare(right.statement_id).open, 1);
  EXPECT_EQ(Open(right.statement_id).front().difference.reference, a);
  const auto listed = imports_.List({.limit = 1000});
  const auto it = std::find_if(listed->begin(), listed->end(),
                               [&](const StoredStatement& s) { return s.statement_id == wrong.statement_id; });
  EXPECT_EQ(it->state, StatementState::kWithdrawn);
  EXPECT_EQ(it->withdrawn_by, "olga");
  EXPECT_EQ(it->withdrawal_note, "the wrong file");
  EXPECT_EQ(it->open_differences, 0);
}

TEST_F(StatementStoreTest, WhoWithdrewItFirstAndWhyStays) {
  const ProviderStatement statement = StatementOf({});
  EXPECT_EQ(*imports_.Import(statement), ImportOutcome::kStored);
  EXPECT_EQ(Withdraw(statement.statement_id), WithdrawalOutcome::kWithdrawn);
  const auto row = [&] {
    return database_->Query(
        "SELECT withdrawn_by || withdrawal_note || withdrawn_at FROM provider_statement"
        " WHERE statement_id = '" +
        statement.statement_id + "'");
  };
  const std::string before = row();
  EXPECT_EQ(*imports_.Withdraw({statement.statement_id, "ugo", "another note"}), WithdrawalOutcome::kWithdrawn);
  EXPECT_EQ(row(), before);
}

TEST_F(StatementStoreTest, WhatAnOperatorDecidedUponStays) {
  const ProviderStatement statement = StatementOf({Line(2, "stranger", 5), Line(3, "other", 6)});
  EXPECT_EQ(ImportAndCompare(statement).open, 2);
  EXPECT_EQ(Resolve(Open(statement.statement_id).front().difference_id, false, "not ours"),
            ResolutionOutcome::kResolved);
  EXPECT_EQ(Withdraw(statement.statement_id), WithdrawalOutcome::kResolved);
  EXPECT_EQ(Open(statement.statement_id).size(), 1u);
}

}  // namespace
}  // namespace flotilla::payment
