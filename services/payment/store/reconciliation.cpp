#include "payment/store/reconciliation.h"

#include <utility>

#include "payment/store/one_by_one.h"

namespace flotilla::payment {
namespace {

absl::StatusOr<Reconciled> ImportAndCompare(ReconciliationStore& store, const ProviderStatement& statement) {
  if (absl::Status status = store.Import(statement); !status.ok()) return status;
  return store.Reconcile(statement.statement_id);
}

}  // namespace

Reconciliation::Reconciliation(const postgres::Options& options)
    : imports_({.name = "import", .max_batch = 1, .max_queue = 4},
               OneByOne<ReconciliationStore, ProviderStatement, Reconciled>(options, ImportAndCompare)),
      lists_({.name = "differences", .max_batch = 16, .max_queue = 64},
             OneByOne<ReconciliationStore, DifferenceQuery, std::vector<StoredDifference>>(
                 options, [](ReconciliationStore& store, const DifferenceQuery& query) { return store.List(query); })),
      resolutions_({.name = "resolve", .max_batch = 16, .max_queue = 64},
                   OneByOne<ReconciliationStore, Resolution, StoredDifference>(
                       options, [](ReconciliationStore& store, const Resolution& resolution) {
                         return store.Resolve(resolution);
                       })) {}

async::Task<absl::StatusOr<Reconciled>> Reconciliation::Import(ProviderStatement statement) {
  return imports_.Call(std::move(statement));
}

async::Task<absl::StatusOr<std::vector<StoredDifference>>> Reconciliation::List(DifferenceQuery query) {
  return lists_.Call(std::move(query));
}

async::Task<absl::StatusOr<StoredDifference>> Reconciliation::Resolve(Resolution resolution) {
  return resolutions_.Call(std::move(resolution));
}

}  // namespace flotilla::payment
