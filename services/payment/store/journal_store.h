// Reads of the journal and its hash chain. Blocking and single-threaded, like LedgerStore.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/account.h"
#include "postgres/session.h"

namespace flotilla::payment {

struct JournalEntry {
  std::int64_t transfer_id = 0;
  Transfer transfer;
  absl::Time created_at;
};

// Newest first, only ids below `before` (0: from the newest on).
struct TransferQuery {
  std::string order_id = {};  // empty: all
  std::int64_t before = 0;
  int limit = 50;
};

struct StatementQuery {
  AccountKind kind = AccountKind::kWallet;
  std::string owner;
  std::string currency;
  std::int64_t before = 0;
  int limit = 50;
};
struct Statement {
  std::int64_t account_id = 0;
  std::int64_t balance = 0;
  std::vector<JournalEntry> entries;
};

struct TrialLine {
  std::string currency;
  AccountKind kind;
  std::int64_t accounts = 0;
  std::int64_t balance = 0;
};

// A point of the chain; no hash before the first block.
struct Anchor {
  std::int64_t block = 0;
  std::string hash;
};

struct Verification {
  std::int64_t blocks = 0;
  std::int64_t transfers = 0;
  std::int64_t uncovered = 0;
  Anchor head;
  std::string problem;  // empty: intact
};

class JournalStore {
 public:
  explicit JournalStore(postgres::Options options) : session_(std::move(options)) {}

  absl::StatusOr<std::vector<JournalEntry>> Transfers(const TransferQuery& query);
  // Nothing where there is no such account.
  absl::StatusOr<std::optional<Statement>> ReadStatement(const StatementQuery& query);
  absl::StatusOr<std::vector<TrialLine>> TrialBalance();

  // Adds one block over what has been committed since the last one, at most `limit` transfers; returns how many. 0 also
  // where another instance is at it. Transactions that write the journal are not held up: only rows older than every
  // running transaction are covered.
  absl::StatusOr<std::int64_t> Extend(int limit);
  // Compares the chain behind block `after` with the transfers, and `anchor` (block 0: none) with the chain.
  absl::StatusOr<Verification> Verify(std::int64_t after, const Anchor& anchor);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
