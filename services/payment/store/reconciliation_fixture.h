// For the tests of statements: orders that the provider was paid for, and statements of a test's own period.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "payment/store/reconciliation_store.h"
#include "payment/store/statement_store.h"
#include "payment/store/store_fixture.h"

namespace flotilla::payment {

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
    EXPECT_EQ(*imports_.Import(statement), ImportOutcome::kStored);
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
  ResolutionOutcome Resolve(std::int64_t difference_id, bool correct, const std::string& note) {
    const auto resolved = reconciliation_.Resolve({difference_id, correct, "olga", note});
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    return resolved->outcome;
  }
  WithdrawalOutcome Withdraw(const std::string& statement_id) {
    return *imports_.Withdraw({statement_id, "olga", "the wrong file"});
  }

  static inline int statements_ = 0;
  // Transfers of the tests before stay out of the period.
  const absl::Time begin_ = absl::FromUnixMicros(
      Query("SELECT (extract(epoch FROM coalesce(max(created_at), 'epoch')) * 1000000)::bigint + 1 FROM transfer"));
  StatementStore imports_{database_->options()};
  ReconciliationStore reconciliation_{database_->options()};
};

}  // namespace flotilla::payment
