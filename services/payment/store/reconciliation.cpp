#include "payment/store/reconciliation.h"

#include <utility>

#include "payment/store/one_by_one.h"

namespace flotilla::payment {
namespace {

struct Importer {
  explicit Importer(const postgres::Options& options) : statements(options), comparisons(options) {}

  absl::StatusOr<Imported> Run(const ProviderStatement& statement) {
    const absl::StatusOr<ImportOutcome> outcome = statements.Import(statement);
    if (!outcome.ok()) return outcome.status();
    if (*outcome != ImportOutcome::kStored) return Imported{*outcome};
    const absl::StatusOr<Reconciled> reconciled = comparisons.Reconcile(statement.statement_id);
    if (!reconciled.ok()) return reconciled.status();
    return Imported{*outcome, *reconciled};
  }

  StatementStore statements;
  ReconciliationStore comparisons;
};

}  // namespace

Reconciliation::Reconciliation(const postgres::Options& options)
    : imports_({.name = "import", .max_batch = 1, .max_queue = 4},
               OneByOne<Importer, ProviderStatement, Imported>(
                   postgres::Named(options, "import"),
                   [](Importer& importer, const ProviderStatement& statement) { return importer.Run(statement); })),
      statements_({.name = "statements", .max_batch = 16, .max_queue = 64},
                  OneByOne<StatementStore, ProviderStatementQuery, std::vector<StoredStatement>>(
                      postgres::Named(options, "statements"),
                      [](StatementStore& store, const ProviderStatementQuery& query) { return store.List(query); })),
      withdrawals_({.name = "withdraw", .max_batch = 16, .max_queue = 64},
                   OneByOne<StatementStore, Withdrawal, WithdrawalOutcome>(
                       postgres::Named(options, "withdraw"),
                       [](StatementStore& store, const Withdrawal& withdrawal) { return store.Withdraw(withdrawal); })),
      lists_({.name = "differences", .max_batch = 16, .max_queue = 64},
             OneByOne<ReconciliationStore, DifferenceQuery, std::vector<StoredDifference>>(
                 postgres::Named(options, "differences"),
                 [](ReconciliationStore& store, const DifferenceQuery& query) { return store.List(query); })),
      resolutions_(
          {.name = "resolve", .max_batch = 16, .max_queue = 64},
          OneByOne<ReconciliationStore, Resolution, Resolved>(
              postgres::Named(options, "resolve"),
              [](ReconciliationStore& store, const Resolution& resolution) { return store.Resolve(resolution); })) {}

async::Task<absl::StatusOr<Imported>> Reconciliation::Import(ProviderStatement statement) {
  return imports_.Call(std::move(statement));
}

async::Task<absl::StatusOr<std::vector<StoredStatement>>> Reconciliation::ListStatements(ProviderStatementQuery query) {
  return statements_.Call(std::move(query));
}

async::Task<absl::StatusOr<WithdrawalOutcome>> Reconciliation::Withdraw(Withdrawal withdrawal) {
  return withdrawals_.Call(std::move(withdrawal));
}

async::Task<absl::StatusOr<std::vector<StoredDifference>>> Reconciliation::List(DifferenceQuery query) {
  return lists_.Call(std::move(query));
}

async::Task<absl::StatusOr<Resolved>> Reconciliation::Resolve(Resolution resolution) {
  return resolutions_.Call(std::move(resolution));
}

}  // namespace flotilla::payment
