#include "payment/store/journal_store.h"

#include "absl/strings/str_cat.h"
#include "payment/domain/journal.h"

namespace flotilla::payment {
namespace {

using Sql = postgres::Statement;
using postgres::Transaction;

#define TRANSFER_COLUMNS                                                                          \
  "t.transfer_id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.reference, " \
  "(extract(epoch FROM t.created_at) * 1000000)::bigint"

const Sql kTransfers = {"list_transfers", "SELECT " TRANSFER_COLUMNS R"(
    FROM transfer t WHERE t.transfer_id < $1::bigint ORDER BY t.transfer_id DESC LIMIT $2::int)"};

const Sql kOrderTransfers = {"list_order_transfers", "SELECT " TRANSFER_COLUMNS R"(
    FROM (SELECT transfer_id FROM charge WHERE order_id = $3::uuid AND transfer_id IS NOT NULL
          UNION SELECT transfer_id FROM transfer WHERE reference = $3::uuid::text AND kind > 2) i
    JOIN transfer t USING (transfer_id)
    WHERE t.transfer_id < $1::bigint ORDER BY t.transfer_id DESC LIMIT $2::int)"};

// One statement, so account and entries are of one snapshot; an account without entries has one row without a transfer.
// A charge's credit is not in the index on credits (see 002_charges.sql): of all charges, every other one is this
// account's.
const Sql kStatement = {"statement", "SELECT a.account_id, a.balance, " TRANSFER_COLUMNS R"(
    FROM account a LEFT JOIN LATERAL (
      (SELECT * FROM transfer d WHERE d.debit_account = a.account_id AND d.transfer_id < $4::bigint
       ORDER BY d.transfer_id DESC LIMIT $5::int)
      UNION ALL
      (SELECT * FROM transfer c WHERE c.credit_account = a.account_id AND c.kind <> 2 AND c.transfer_id < $4::bigint
       ORDER BY c.transfer_id DESC LIMIT $5::int)
      UNION ALL
      (SELECT * FROM transfer e WHERE a.kind = 2 AND e.kind = 2 AND e.credit_account = a.account_id
         AND e.transfer_id < $4::bigint ORDER BY e.transfer_id DESC LIMIT $5::int)
    ) t ON true
    WHERE a.owner = $1 AND a.kind = $2::smallint AND a.currency = $3::bpchar
    ORDER BY t.transfer_id DESC NULLS LAST LIMIT $5::int)"};

const Sql kTrialBalance = {"trial_balance", R"(
    SELECT currency, kind, count(*), sum(balance)::bigint FROM account GROUP BY currency, kind ORDER BY currency, kind)"};

const Sql kLockChain = {"lock_chain", "SELECT pg_try_advisory_xact_lock(hashtextextended('flotilla journal', 0))"};
const Sql kHead = {"chain_head", R"(
    SELECT number, hash, xid::text, transfer_id FROM journal_block ORDER BY number DESC LIMIT 1)"};
const Sql kBlock = {"chain_block", R"(
    SELECT number, hash, xid::text, transfer_id, transfers FROM journal_block WHERE number = $1::bigint)"};
const Sql kUncovered = {"chain_uncovered", R"(
    SELECT count(*) FROM transfer WHERE (xid, transfer_id) > ($1::xid8, $2::bigint))"};

// In the order of commits. Everything that a row consists of is hashed.
const Sql kNew = {"chain_new", "SELECT t.xid, " TRANSFER_COLUMNS R"(
    FROM transfer t
    WHERE (t.xid, t.transfer_id) > ($1::xid8, $2::bigint) AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY t.xid, t.transfer_id LIMIT $3::int)"};
const Sql kCovered = {"chain_covered", "SELECT t.xid, " TRANSFER_COLUMNS R"(
    FROM transfer t
    WHERE (t.xid, t.transfer_id) > ($1::xid8, $2::bigint) AND (t.xid, t.transfer_id) <= ($3::xid8, $4::bigint)
    ORDER BY t.xid, t.transfer_id)"};
const Sql kInsertBlock = {"chain_insert", R"(
    INSERT INTO journal_block (number, xid, transfer_id, transfers, hash)
    VALUES ($1::bigint, $2::xid8, $3::bigint, $4::bigint, $5::bytea))"};

#undef TRANSFER_COLUMNS

// Behind every id.
constexpr std::int64_t kNewest = 0x7fffffffffffffff;

JournalEntry FromRow(const postgres::Row& row, int first) {
  return {.transfer_id = row[first].as<std::int64_t>(),
          .transfer = {static_cast<TransferKind>(row[first + 1].as<int>()),
                       row[first + 2].as<std::int64_t>(),
                       row[first + 3].as<std::int64_t>(),
                       {row[first + 5].c_str(), row[first + 4].as<std::int64_t>()},
                       row[first + 6].c_str()},
          .created_at = absl::FromUnixMicros(row[first + 7].as<std::int64_t>())};
}

// A block and where it ends in the order of commits.
struct Block {
  Anchor anchor;
  std::string xid = "0";
  std::int64_t transfer_id = 0;
  std::int64_t transfers = 0;
};

Block BlockOf(const postgres::Row& row) {
  return {.anchor = {row[0].as<std::int64_t>(), postgres::FromBytes(row[1].c_str())},
          .xid = row[2].c_str(),
          .transfer_id = row[3].as<std::int64_t>()};
}

// The last one; before the first one block 0.
Block Head(Transaction& transaction) {
  const postgres::Rows head = transaction.Run(kHead);
  return head.empty() ? Block() : BlockOf(head[0]);
}

std::string HashOf(const std::string& previous, const postgres::Rows& rows) {
  BlockHash hash(previous);
  for (const auto& row : rows) {
    for (int i = 0; i < row.size(); ++i) hash.Add(row[i].view());
  }
  return hash.Finish();
}

}  // namespace

absl::StatusOr<std::vector<JournalEntry>> JournalStore::Transfers(const TransferQuery& query) {
  std::vector<JournalEntry> entries;
  const std::int64_t before = query.before > 0 ? query.before : kNewest;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    entries.clear();
    for (const auto& row : query.order_id.empty()
                               ? transaction.Run(kTransfers, before, query.limit)
                               : transaction.Run(kOrderTransfers, before, query.limit, query.order_id)) {
      entries.push_back(FromRow(row, 0));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return entries;
}

absl::StatusOr<std::optional<Statement>> JournalStore::ReadStatement(const StatementQuery& query) {
  std::optional<Statement> statement;
  const std::int64_t before = query.before > 0 ? query.before : kNewest;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    statement.reset();
    for (const auto& row :
         transaction.Run(kStatement, query.owner, static_cast<int>(query.kind), query.currency, before, query.limit)) {
      if (!statement.has_value()) statement = Statement{row[0].as<std::int64_t>(), row[1].as<std::int64_t>(), {}};
      if (!row[2].is_null()) statement->entries.push_back(FromRow(row, 2));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return statement;
}

absl::StatusOr<std::vector<TrialLine>> JournalStore::TrialBalance() {
  std::vector<TrialLine> lines;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    lines.clear();
    for (const auto& row : transaction.Run(kTrialBalance)) {
      lines.push_back({row[0].c_str(), static_cast<AccountKind>(row[1].as<int>()), row[2].as<std::int64_t>(),
                       row[3].as<std::int64_t>()});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return lines;
}

absl::StatusOr<std::int64_t> JournalStore::Extend(int limit) {
  std::int64_t covered = 0;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    covered = 0;
    if (!transaction.Run(kLockChain)[0][0].as<bool>()) return absl::OkStatus();
    const Block head = Head(transaction);
    const postgres::Rows rows = transaction.Run(kNew, head.xid, head.transfer_id, limit);
    if (rows.empty()) return absl::OkStatus();
    covered = static_cast<std::int64_t>(rows.size());
    const postgres::Row last = rows[rows.size() - 1];
    transaction.Defer(kInsertBlock, head.anchor.block + 1, last[0].c_str(), last[1].as<std::int64_t>(), covered,
                      postgres::Bytes(HashOf(head.anchor.hash, rows)));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return covered;
}

absl::StatusOr<Verification> JournalStore::Verify(std::int64_t after, const Anchor& anchor) {
  Verification result;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    result = {};
    const Block head = Head(transaction);
    Block previous;
    if (after > 0) {
      const postgres::Rows row = transaction.Run(kBlock, after);
      if (row.empty()) return absl::NotFoundError(absl::StrCat("block ", after, " does not exist"));
      previous = BlockOf(row[0]);
    }
    if (anchor.block > 0) {
      const postgres::Rows row = transaction.Run(kBlock, anchor.block);
      if (row.empty() || BlockOf(row[0]).anchor.hash != anchor.hash) {
        result.problem = absl::StrCat("block ", anchor.block, " is not the one that was noted");
        return absl::OkStatus();
      }
    }
    while (previous.anchor.block < head.anchor.block) {
      const std::int64_t number = previous.anchor.block + 1;
      const postgres::Rows row = transaction.Run(kBlock, number);
      if (row.empty()) {
        result.problem = absl::StrCat("block ", number, " is missing");
        return absl::OkStatus();
      }
      const Block block = BlockOf(row[0]);
      const postgres::Rows rows =
          transaction.Run(kCovered, previous.xid, previous.transfer_id, block.xid, block.transfer_id);
      if (HashOf(previous.anchor.hash, rows) != block.anchor.hash) {
        result.problem = absl::StrCat("block ", number, " was made of ", row[0][4].c_str(), " transfers, behind ",
                                      previous.xid, "/", previous.transfer_id, " up to ", block.xid, "/",
                                      block.transfer_id, "; the ", rows.size(), " that are there now differ");
        return absl::OkStatus();
      }
      ++result.blocks;
      result.transfers += static_cast<std::int64_t>(rows.size());
      previous = block;
    }
    result.head = head.anchor;
    result.uncovered = transaction.Run(kUncovered, head.xid, head.transfer_id)[0][0].as<std::int64_t>();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return result;
}

}  // namespace flotilla::payment
