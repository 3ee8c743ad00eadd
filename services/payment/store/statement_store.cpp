#include "payment/store/statement_store.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "payment/domain/journal.h"
#include "payment/store/reconciliation_lock.h"
#include "payment/store/rows.h"

namespace flotilla::payment {
namespace {

using Sql = postgres::Statement;
using postgres::Transaction;

constexpr std::size_t kMaxErrorText = 500;

const Sql kInsertStatement = {"insert_statement", R"(
    INSERT INTO provider_statement (statement_id, period_start, period_end, digest, lines)
    VALUES ($1, to_timestamp($2::bigint / 1e6), to_timestamp($3::bigint / 1e6), $4::bytea, $5::int)
    ON CONFLICT (statement_id) DO NOTHING)"};
const Sql kStored = {"stored_statement", "SELECT digest, state FROM provider_statement WHERE statement_id = $1"};
const Sql kInsertLines = {"insert_statement_lines", R"(
    INSERT INTO statement_line (statement_id, line, provider_reference, kind, amount, currency, occurred_at)
    SELECT $1, line, reference, kind, amount, currency, to_timestamp(occurred_us / 1e6)
    FROM unnest($2::int[], $3::text[], $4::smallint[], $5::bigint[], $6::bpchar[], $7::bigint[])
      AS i(line, reference, kind, amount, currency, occurred_us))"};

// After n failures it waits 2^n times as long, 64 times at most.
const Sql kClaimDue = {"claim_due_statement", R"(
    UPDATE provider_statement SET attempts = attempts + 1, attempted_at = now()
    WHERE statement_id = (
      SELECT statement_id FROM provider_statement
      WHERE state = 1 AND (attempted_at IS NULL
                           OR attempted_at <= now() - make_interval(secs => $1::float8 * (1 << least(attempts, 6))))
      ORDER BY attempted_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING statement_id)"};
const Sql kNoteFailure = {"note_statement_failure", R"(
    UPDATE provider_statement SET error = $2 WHERE statement_id = $1 AND state = 1)"};

const Sql kListStatements = {"list_statements", R"(
    SELECT s.statement_id, (extract(epoch FROM s.period_start) * 1000000)::bigint,
           (extract(epoch FROM s.period_end) * 1000000)::bigint, s.lines,
           (SELECT count(*) FROM statement_line l WHERE l.statement_id = s.statement_id AND l.transfer_id IS NOT NULL),
           (SELECT count(*) FROM difference d WHERE d.statement_id = s.statement_id AND d.state = 1), s.state,
           (extract(epoch FROM s.created_at) * 1000000)::bigint, (extract(epoch FROM s.reconciled_at) * 1000000)::bigint,
           s.attempts, s.error, coalesce(s.withdrawn_by, ''), coalesce(s.withdrawal_note, '')
    FROM provider_statement s WHERE s.statement_id > $1 ORDER BY s.statement_id LIMIT $2::int)"};

const Sql kStanding = {"standing_of_statement", R"(
    SELECT state, EXISTS (SELECT 1 FROM difference WHERE statement_id = $1 AND state IN (3, 4))
    FROM provider_statement WHERE statement_id = $1)"};
// Statements in whose period something lies that this one had, or had told as missing: at once, if open.
const Sql kReopenOthers = {"reopen_statements", R"(
    UPDATE provider_statement s SET state = 1, attempted_at = NULL
    WHERE s.state IN (1, 2) AND s.statement_id <> $1 AND EXISTS (
      SELECT 1 FROM (SELECT transfer_id FROM statement_line WHERE statement_id = $1
                     UNION SELECT transfer_id FROM difference WHERE statement_id = $1 AND state = 1) had
      JOIN transfer t USING (transfer_id)
      WHERE t.created_at >= s.period_start AND t.created_at < s.period_end))"};
const Sql kForgetDifferences = {"forget_differences", R"(
    UPDATE difference SET state = 2, closed_at = now() WHERE statement_id = $1 AND state = 1)"};
const Sql kForgetMatches = {"forget_matches", R"(
    UPDATE statement_line SET transfer_id = NULL WHERE statement_id = $1 AND transfer_id IS NOT NULL)"};
const Sql kWithdraw = {"withdraw_statement", R"(
    UPDATE provider_statement SET state = 3, withdrawn_by = $2, withdrawal_note = $3, withdrawn_at = now()
    WHERE statement_id = $1)"};

std::string Digest(const ProviderStatement& statement) {
  BlockHash hash("");
  hash.Add(absl::StrCat(absl::ToUnixMicros(statement.start)));
  hash.Add(absl::StrCat(absl::ToUnixMicros(statement.end)));
  for (const StatementLine& line : statement.lines) {
    hash.Add(line.reference);
    hash.Add(absl::StrCat(static_cast<int>(line.kind)));
    hash.Add(absl::StrCat(line.amount.minor_units));
    hash.Add(line.amount.currency);
    hash.Add(absl::StrCat(absl::ToUnixMicros(line.occurred_at)));
  }
  return hash.Finish();
}

StoredStatement StatementOf(const postgres::Row& row) {
  StoredStatement statement{.statement_id = row[0].c_str(),
                            .start = absl::FromUnixMicros(row[1].as<std::int64_t>()),
                            .end = absl::FromUnixMicros(row[2].as<std::int64_t>()),
                            .lines = row[3].as<int>(),
                            .matched = row[4].as<int>(),
                            .open_differences = row[5].as<int>(),
                            .state = static_cast<StatementState>(row[6].as<int>()),
                            .imported_at = absl::FromUnixMicros(row[7].as<std::int64_t>()),
                            .failed_attempts = row[9].as<int>(),
                            .error = row[10].c_str(),
                            .withdrawn_by = row[11].c_str(),
                            .withdrawal_note = row[12].c_str()};
  if (!row[8].is_null()) statement.compared_at = absl::FromUnixMicros(row[8].as<std::int64_t>());
  return statement;
}

}  // namespace

StatementStore::StatementStore(postgres::Options options) : session_(PatientOptions(std::move(options))) {}

absl::StatusOr<ImportOutcome> StatementStore::Import(const ProviderStatement& statement) {
  const std::string digest = Digest(statement);
  const auto& lines = statement.lines;
  ImportOutcome outcome = ImportOutcome::kStored;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    outcome = ImportOutcome::kStored;
    const bool is_new =
        transaction
            .Run(kInsertStatement, statement.statement_id, absl::ToUnixMicros(statement.start),
                 absl::ToUnixMicros(statement.end), postgres::Bytes(digest), static_cast<int>(lines.size()))
            .affected_rows() == 1;
    if (!is_new) {
      const postgres::Rows stored = transaction.Run(kStored, statement.statement_id);
      if (postgres::FromBytes(stored[0][0].view()) != digest) {
        outcome = ImportOutcome::kReused;
      } else if (static_cast<StatementState>(stored[0][1].as<int>()) == StatementState::kWithdrawn) {
        outcome = ImportOutcome::kWithdrawn;
      }
      return absl::OkStatus();
    }
    transaction.Run(kInsertLines, statement.statement_id, NumberColumn(lines, [](const auto& l) { return l.line; }),
                    TextColumn(lines, [](const auto& l) -> std::string_view { return l.reference; }),
                    NumberColumn(lines, [](const auto& l) { return l.kind; }),
                    NumberColumn(lines, [](const auto& l) { return l.amount.minor_units; }),
                    TextColumn(lines, [](const auto& l) -> std::string_view { return l.amount.currency; }),
                    NumberColumn(lines, [](const auto& l) { return absl::ToUnixMicros(l.occurred_at); }));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return outcome;
}

absl::StatusOr<std::optional<std::string>> StatementStore::ClaimDue(absl::Duration every) {
  std::optional<std::string> due;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    due.reset();
    const postgres::Rows rows = transaction.Run(kClaimDue, absl::ToDoubleSeconds(every));
    if (!rows.empty()) due = rows[0][0].c_str();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return due;
}

// As ASCII: what cannot be written would be kept nowhere.
absl::Status StatementStore::NoteFailure(const std::string& statement_id, std::string_view error) {
  const std::string text = absl::CEscape({error.data(), error.size()}).substr(0, kMaxErrorText);
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kNoteFailure, statement_id, text);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<StoredStatement>> StatementStore::List(const ProviderStatementQuery& query) {
  std::vector<StoredStatement> statements;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    statements.clear();
    for (const auto& row : transaction.Run(kListStatements, query.after, query.limit)) {
      statements.push_back(StatementOf(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return statements;
}

absl::StatusOr<WithdrawalOutcome> StatementStore::Withdraw(const Withdrawal& withdrawal) {
  const std::string& id = withdrawal.statement_id;
  WithdrawalOutcome outcome = WithdrawalOutcome::kWithdrawn;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    outcome = WithdrawalOutcome::kWithdrawn;
    LockReconciliation(transaction);
    const postgres::Rows standing = transaction.Run(kStanding, id);
    if (standing.empty()) {
      outcome = WithdrawalOutcome::kUnknown;
    } else if (standing[0][1].as<bool>()) {
      outcome = WithdrawalOutcome::kResolved;
    } else if (static_cast<StatementState>(standing[0][0].as<int>()) != StatementState::kWithdrawn) {
      transaction.Defer(kReopenOthers, id);
      transaction.Defer(kForgetDifferences, id);
      transaction.Defer(kForgetMatches, id);
      transaction.Defer(kWithdraw, id, withdrawal.operator_id, withdrawal.note);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return outcome;
}

}  // namespace flotilla::payment
