// Within this room: sessions that work on statements.
#pragma once

#include <string>
#include <utility>

#include "postgres/session.h"

namespace flotilla::payment {

// Comparisons and operators decide over one picture, and two statements may want the same entry: one at a time in the
// whole fleet, until the transaction's end.
inline void LockReconciliation(postgres::Transaction& transaction) {
  static const postgres::Statement lock = {
      "lock_reconciliation", "SELECT pg_advisory_xact_lock(hashtextextended('flotilla reconciliation', 0))"};
  transaction.Run(lock);
}

// A statement has up to 50,000 lines.
inline postgres::Options PatientOptions(postgres::Options options) {
  options = postgres::Named(std::move(options), "reconciliation");
  options.statement_timeout = absl::Seconds(30);
  return options;
}

}  // namespace flotilla::payment
