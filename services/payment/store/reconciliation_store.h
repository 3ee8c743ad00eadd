// The external provider's statements against the ledger, and all differences, those of orders among them. Blocking and
// single-threaded, like LedgerStore.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/reconciliation.h"
#include "postgres/session.h"

namespace flotilla::payment {

struct StoredDifference {
  std::int64_t difference_id = 0;
  std::string statement_id;  // empty: it is of an order
  Difference difference;
  std::string order_id;  // empty where the reference is none of ours
  DifferenceState state = DifferenceState::kOpen;
  std::string operator_id;  // of kCorrected and kDismissed, like the note
  std::string note;
  std::int64_t correction_id = 0;  // of kCorrected: the transfer
  absl::Time created_at;
};

// By id, only those behind `after`.
struct DifferenceQuery {
  std::string statement_id = {};  // empty: all
  bool all_states = false;        // else open ones only
  std::int64_t after = 0;
  int limit = 50;
};

struct Resolution {
  std::int64_t difference_id = 0;
  bool correct = false;  // else dismiss
  std::string operator_id;
  std::string note;
};

struct Reconciled {
  int lines = 0;
  int matched = 0;    // lines, in all runs together
  int open = 0;       // differences
  bool told = false;  // new differences were told in an event
};

enum class ResolutionOutcome {
  kResolved,  // now or before
  kUnknown,
  kClosed,  // otherwise, or it had gone by itself
  kGone,    // what it told of has found its counterpart since
  kBalanceLimit,
  kNotCorrectable,  // of an order: no transfer between provider and world mends it
};
struct Resolved {
  ResolutionOutcome outcome = ResolutionOutcome::kResolved;
  StoredDifference difference = {};  // of kResolved
};

class ReconciliationStore {
 public:
  explicit ReconciliationStore(postgres::Options options);

  // Compares an open statement once more: matches what can be matched, closes differences that are gone, opens new ones
  // and tells of them in an event; closes a statement without open ones. One at a time in the whole fleet. NOT_FOUND.
  absl::StatusOr<Reconciled> Reconcile(const std::string& statement_id);
  absl::StatusOr<std::vector<StoredDifference>> List(const DifferenceQuery& query);
  // Closes an open difference, with a compensating transfer where it is to be corrected.
  absl::StatusOr<Resolved> Resolve(const Resolution& resolution);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
