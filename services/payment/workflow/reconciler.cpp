#include "payment/workflow/reconciler.h"

#include <optional>
#include <string>
#include <utility>

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {

Reconciler::Reconciler(Options options)
    : options_(std::move(options)),
      statements_(options_.postgres),
      comparisons_(options_.postgres),
      compared_(telemetry::Counter("flotilla_payment_reconciliations_total",
                                   "Comparisons of the provider's open statements with the ledger, by schedule")),
      failed_(telemetry::Counter("flotilla_payment_reconciliations_failed_total",
                                 "Comparisons by schedule that could not be made; the statement is tried again later")),
      thread_([this] { Run(); }) {}

Reconciler::~Reconciler() {
  stop_.Set();
  thread_.join();
}

void Reconciler::Run() {
  while (!stop_.WaitFor(options_.period)) {
    while (!stop_.IsSet() && CompareNext()) {
    }
  }
}

bool Reconciler::CompareNext() {
  const absl::StatusOr<std::optional<std::string>> due = statements_.ClaimDue(options_.every);
  if (!due.ok() || !due->has_value()) return false;
  const std::string& id = **due;
  const absl::StatusOr<Reconciled> reconciled = comparisons_.Reconcile(id);
  if (!reconciled.ok()) {
    failed_.Increment();
    telemetry::Error("a statement of the payment provider cannot be compared",
                     {{"statement_id", id}, {"error", reconciled.status().ToString()}});
    return statements_.NoteFailure(id, reconciled.status().ToString()).ok();  // the others have their turn
  }
  compared_.Increment();
  if (reconciled->told) {
    telemetry::Error("a statement of the payment provider differs from the ledger",
                     {{"statement_id", id}, {"open_differences", std::to_string(reconciled->open)}});
    if (options_.wake) options_.wake();
  }
  return true;
}

}  // namespace flotilla::payment
