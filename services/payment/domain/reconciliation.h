// Comparing the external provider's statement with the ledger (with orders: see order_match.h). Pure functions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "payment/domain/account.h"

namespace flotilla::payment {

// Values as stored; never renumber.
enum class ProviderKind : int { kCharge = 1, kRefund = 2 };
enum class DifferenceClass : int {
  kMissingHere = 1,         // the provider has it, the ledger does not
  kMissingThere = 2,        // the ledger has it, the statement of its period does not
  kAmountDiffers = 3,       // both have it
  kDuplicate = 4,           // the provider has more of it than the ledger
  kOrderMissing = 5,        // of the ledger and an order, from here on: it keeps money of none that exists
  kOrderNotRefunded = 6,    // it keeps money of one that ended without a sale
  kOrderNotCharged = 7,     // it keeps no money of one that is paid
  kOrderAmountDiffers = 8,  // it keeps, or took, another amount than the order says
  kOrderUnfinished = 9,     // it took the money long ago, and the order has not ended
};
// Whether an order differs, and no statement.
inline bool IsOfOrder(DifferenceClass kind_of) { return kind_of >= DifferenceClass::kOrderMissing; }
enum class DifferenceState : int {
  kOpen = 1,
  kGone = 2,  // it matched later: a callback or another statement was late
  kCorrected = 3,
  kDismissed = 4,  // the statement is wrong, or an operator has seen to it; no money moves
};

// One line of a statement.
struct StatementLine {
  int line = 0;  // in the file, from 1
  std::string reference = {};
  ProviderKind kind = ProviderKind::kCharge;
  Money amount = {};
  absl::Time occurred_at = {};
};

// A charge or refund in the ledger.
struct LedgerEntry {
  std::int64_t transfer_id = 0;
  std::string reference = {};
  ProviderKind kind = ProviderKind::kCharge;
  Money amount = {};
  bool taken = false;      // matched with another line, or an operator has decided about it
  bool due = false;        // the statement should have it: of its period, and not told as missing in another statement
  bool dismissed = false;  // told as missing, which an operator dismissed: a later statement may have it still
};

struct Difference {
  DifferenceClass kind_of = DifferenceClass::kMissingHere;
  int line = 0;                  // 0: missing there
  std::int64_t transfer_id = 0;  // 0: missing here, or a duplicate
  std::string reference = {};
  ProviderKind kind = ProviderKind::kCharge;
  std::int64_t theirs = 0;  // minor units
  std::int64_t ours = 0;
  std::string currency = {};
};

struct Comparison {
  struct Match {
    int line;
    std::int64_t transfer_id;
  };
  std::vector<Match> matches;
  std::vector<Difference> differences;
};

// `lines`: those that nothing is known about yet. A payment is charged once, but may be refunded in many parts that the
// provider does not name, so refunds are paired by amount.
Comparison Compare(std::span<const StatementLine> lines, std::span<const LedgerEntry> entries);

// What the books need to agree with the provider: positive minor units are owed by the provider, so they go from the
// provider's account to the world; negative ones the other way.
std::int64_t OwedMore(const Difference& difference);

}  // namespace flotilla::payment
