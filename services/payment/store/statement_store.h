// Statements of the external provider: their lines, whose turn it is to be compared, and their withdrawal. Blocking and
// single-threaded, like LedgerStore.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/reconciliation.h"
#include "postgres/session.h"

namespace flotilla::payment {

// Of the provider's bookings from `start` to just before `end`.
struct ProviderStatement {
  std::string statement_id;
  absl::Time start;
  absl::Time end;
  std::vector<StatementLine> lines = {};
};

// Values as stored; never renumber.
enum class StatementState : int {
  kOpen = 1,
  kClosed = 2,  // compared, and no difference is open
  kWithdrawn = 3,
};

struct StoredStatement {
  std::string statement_id;
  absl::Time start;
  absl::Time end;
  int lines = 0;
  int matched = 0;
  int open_differences = 0;
  StatementState state = StatementState::kOpen;
  absl::Time imported_at;
  std::optional<absl::Time> compared_at = {};
  int failed_attempts = 0;  // to compare it, since then
  std::string error = {};   // of the last one
  std::string withdrawn_by = {};
  std::string withdrawal_note = {};
};

// By id, only those behind `after`.
struct ProviderStatementQuery {
  std::string after = {};
  int limit = 50;
};

struct Withdrawal {
  std::string statement_id;
  std::string operator_id;
  std::string note;
};

enum class ImportOutcome {
  kStored,  // now or before
  kReused,  // the id has another content
  kWithdrawn,
};
enum class WithdrawalOutcome {
  kWithdrawn,  // now or before
  kUnknown,
  kResolved,  // an operator has decided about one of its differences
};

class StatementStore {
 public:
  explicit StatementStore(postgres::Options options);

  // Stores all of a statement or nothing.
  absl::StatusOr<ImportOutcome> Import(const ProviderStatement& statement);
  // The open statement whose turn it is to be compared: not tried for `every`, or much longer where tries have failed.
  // Counts as a failed try until ReconciliationStore::Reconcile is through, so not even one that kills the process
  // holds up the others. Nothing where none is due.
  absl::StatusOr<std::optional<std::string>> ClaimDue(absl::Duration every);
  // Keeps why the try failed.
  absl::Status NoteFailure(const std::string& statement_id, std::string_view error);

  absl::StatusOr<std::vector<StoredStatement>> List(const ProviderStatementQuery& query);
  // As if it had never been imported, but for its record: its matches are undone, its open differences are gone, and
  // what rested on either is compared again.
  absl::StatusOr<WithdrawalOutcome> Withdraw(const Withdrawal& withdrawal);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
