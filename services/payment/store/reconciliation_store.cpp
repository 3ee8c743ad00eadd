#include "payment/store/reconciliation_store.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "payment/codec/codec.h"
#include "payment/store/accounts.h"
#include "payment/store/charge_rows.h"
#include "payment/store/reconciliation_lock.h"
#include "payment/store/rows.h"
#include "payment/store/statement_store.h"

namespace flotilla::payment {
namespace {

using Sql = postgres::Statement;
using postgres::Transaction;

const Sql kStatement = {"reconcile_statement", R"(
    SELECT lines, state FROM provider_statement WHERE statement_id = $1)"};
const Sql kLines = {"reconcile_lines", R"(
    SELECT l.line, l.provider_reference, l.kind, l.amount, l.currency
    FROM statement_line l
    WHERE l.statement_id = $1 AND l.transfer_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM difference d WHERE d.statement_id = $1 AND d.line = l.line AND d.state IN (3, 4))
    ORDER BY l.line)"};

// The period's entries, and every entry of the references that are looked for. Money came in by kind 7 only, and went
// back by refunds of external charges.
const Sql kEntries = {"reconcile_entries", R"(
    WITH period AS (
      SELECT period_start, period_end FROM provider_statement WHERE statement_id = $1),
    wanted AS (
      SELECT t.reference::uuid AS order_id
      FROM period p JOIN transfer t ON t.kind = 7 AND t.created_at >= p.period_start AND t.created_at < p.period_end
      UNION
      SELECT r.order_id FROM period p JOIN refund r ON r.created_at >= p.period_start AND r.created_at < p.period_end
      UNION
      SELECT c.order_id FROM charge c WHERE c.provider_reference = ANY($2::text[])),
    entry AS (
      SELECT c.provider_reference, 1 AS kind, t.transfer_id, t.amount, t.currency, t.created_at
      FROM wanted w JOIN charge c ON c.order_id = w.order_id AND c.method = 2
      JOIN transfer t ON t.reference = c.order_id::text AND t.kind = 7
      UNION ALL
      SELECT c.provider_reference, 2, r.transfer_id, r.amount, r.currency, r.created_at
      FROM wanted w JOIN charge c ON c.order_id = w.order_id AND c.method = 2
      JOIN refund r ON r.order_id = c.order_id)
    SELECT e.provider_reference, e.kind, e.transfer_id, e.amount, e.currency,
           EXISTS (SELECT 1 FROM statement_line l WHERE l.transfer_id = e.transfer_id) OR coalesce(d.decided, false),
           e.created_at >= p.period_start AND e.created_at < p.period_end
             AND NOT coalesce(d.told_elsewhere OR d.dismissed, false),
           coalesce(d.dismissed AND NOT d.told_elsewhere, false)
    FROM entry e CROSS JOIN period p, LATERAL (
      SELECT bool_or(state = 3 OR state = 4 AND class <> 2) AS decided, bool_or(state = 4 AND class = 2) AS dismissed,
             bool_or(state = 1 AND statement_id <> $1) AS told_elsewhere
      FROM difference WHERE transfer_id = e.transfer_id) d
    ORDER BY e.transfer_id)"};

const Sql kMatch = {"match_lines", R"(
    UPDATE statement_line l SET transfer_id = i.transfer_id
    FROM unnest($2::int[], $3::bigint[]) AS i(line, transfer_id) WHERE l.statement_id = $1 AND l.line = i.line)"};

// What was open and is not among the differences of now; then what of those is new.
const Sql kClear = {"clear_differences", R"(
    UPDATE difference d SET state = 2, closed_at = now()
    WHERE d.statement_id = $1 AND d.state = 1 AND NOT EXISTS (
      SELECT 1 FROM unnest($2::smallint[], $3::int[], $4::bigint[]) AS i(class, line, transfer_id)
      WHERE i.class = d.class AND i.line = coalesce(d.line, 0) AND i.transfer_id = coalesce(d.transfer_id, 0)))"};
const Sql kInsertDifferences = {"insert_differences", R"(
    INSERT INTO difference (statement_id, class, line, transfer_id, provider_reference, kind, theirs, ours, currency)
    SELECT $1, class, nullif(line, 0), nullif(transfer_id, 0), reference, kind, theirs, ours, currency
    FROM unnest($2::smallint[], $3::int[], $4::bigint[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[],
                $9::bpchar[]) AS i(class, line, transfer_id, reference, kind, theirs, ours, currency)
    WHERE NOT EXISTS (
      SELECT 1 FROM difference d
      WHERE d.statement_id = $1 AND d.state = 1 AND d.class = i.class AND coalesce(d.line, 0) = i.line
        AND coalesce(d.transfer_id, 0) = i.transfer_id))"};
const Sql kFinish = {"finish_reconciliation", R"(
    UPDATE provider_statement s
    SET reconciled_at = now(), attempted_at = now(), attempts = 0, error = '', state = CASE WHEN d.open = 0 THEN 2 ELSE 1 END, event_count = event_count + $2::int
    FROM (SELECT count(*) FILTER (WHERE state = 1) AS open FROM difference WHERE statement_id = $1) d
    WHERE s.statement_id = $1
    RETURNING d.open, s.event_count,
              (SELECT count(*) FROM statement_line WHERE statement_id = $1 AND transfer_id IS NOT NULL),
              (extract(epoch FROM s.reconciled_at) * 1000000)::bigint)"};
#define DIFFERENCE_COLUMNS                                                                                     \
  "d.difference_id, d.statement_id, d.class, coalesce(d.line, 0), coalesce(d.transfer_id, 0), "                \
  "d.provider_reference, d.kind, d.theirs, d.ours, d.currency, d.state, coalesce(d.operator, ''), "            \
  "coalesce(d.note, ''), coalesce(d.correction_id, 0), (extract(epoch FROM d.created_at) * 1000000)::bigint, " \
  "coalesce(d.order_id::text, (SELECT c.order_id::text FROM charge c "                                         \
  "WHERE c.provider_reference = d.provider_reference), '') "
const Sql kList = {"list_differences", "SELECT " DIFFERENCE_COLUMNS R"(
    FROM difference d
    WHERE d.difference_id > $1::bigint AND ($2::boolean OR d.state = 1)
    ORDER BY d.difference_id LIMIT $3::int)"};
const Sql kListOfStatement = {"list_statement_differences", "SELECT " DIFFERENCE_COLUMNS R"(
    FROM difference d
    WHERE d.statement_id = $4 AND d.difference_id > $1::bigint AND ($2::boolean OR d.state = 1)
    ORDER BY d.difference_id LIMIT $3::int)"};
const Sql kDifference = {"read_difference",
                         "SELECT " DIFFERENCE_COLUMNS "FROM difference d WHERE d.difference_id = $1::bigint"};
#undef DIFFERENCE_COLUMNS
const Sql kResolve = {"resolve_difference", R"(
    UPDATE difference SET state = $2::smallint, operator = $3, note = $4, correction_id = nullif($5::bigint, 0),
      closed_at = now()
    WHERE difference_id = $1::bigint)"};

std::vector<StatementLine> ReadLines(Transaction& transaction, const std::string& statement_id) {
  std::vector<StatementLine> lines;
  for (const auto& row : transaction.Run(kLines, statement_id)) {
    lines.push_back({.line = row[0].as<int>(),
                     .reference = row[1].c_str(),
                     .kind = static_cast<ProviderKind>(row[2].as<int>()),
                     .amount = {row[4].c_str(), row[3].as<std::int64_t>()}});
  }
  return lines;
}

std::vector<LedgerEntry> ReadEntries(Transaction& transaction, const std::string& statement_id,
                                     const std::vector<StatementLine>& lines) {
  std::set<std::string_view> references;
  for (const StatementLine& line : lines) references.insert(line.reference);
  std::vector<LedgerEntry> entries;
  for (const auto& row :
       transaction.Run(kEntries, statement_id, TextColumn(references, [](std::string_view r) { return r; }))) {
    entries.push_back({.transfer_id = row[2].as<std::int64_t>(),
                       .reference = row[0].c_str(),
                       .kind = static_cast<ProviderKind>(row[1].as<int>()),
                       .amount = {row[4].c_str(), row[3].as<std::int64_t>()},
                       .taken = row[5].as<bool>(),
                       .due = row[6].as<bool>(),
                       .dismissed = row[7].as<bool>()});
  }
  return entries;
}

// How many differences are new.
std::int64_t Write(Transaction& transaction, const std::string& statement_id, const Comparison& comparison) {
  const auto& matches = comparison.matches;
  const auto& differences = comparison.differences;
  if (!matches.empty()) {
    transaction.Defer(kMatch, statement_id, NumberColumn(matches, [](const auto& m) { return m.line; }),
                      NumberColumn(matches, [](const auto& m) { return m.transfer_id; }));
  }
  const postgres::Parameter classes = NumberColumn(differences, [](const Difference& d) { return d.kind_of; });
  const postgres::Parameter lines = NumberColumn(differences, [](const Difference& d) { return d.line; });
  const postgres::Parameter transfers = NumberColumn(differences, [](const Difference& d) { return d.transfer_id; });
  transaction.Defer(kClear, statement_id, classes, lines, transfers);
  const auto inserted =
      transaction.Run(kInsertDifferences, statement_id, classes, lines, transfers,
                      TextColumn(differences, [](const Difference& d) -> std::string_view { return d.reference; }),
                      NumberColumn(differences, [](const Difference& d) { return d.kind; }),
                      NumberColumn(differences, [](const Difference& d) { return d.theirs; }),
                      NumberColumn(differences, [](const Difference& d) { return d.ours; }),
                      TextColumn(differences, [](const Difference& d) -> std::string_view { return d.currency; }));
  return static_cast<std::int64_t>(inserted.affected_rows());
}

Comparison CompareNow(Transaction& transaction, const std::string& statement_id) {
  const std::vector<StatementLine> lines = ReadLines(transaction, statement_id);
  return Compare(lines, ReadEntries(transaction, statement_id, lines));
}

// A line or a transfer may have found its counterpart since the difference was written.
bool StillStands(Transaction& transaction, const StoredDifference& stored) {
  const Comparison now = CompareNow(transaction, stored.statement_id);
  return std::ranges::any_of(now.differences, [&](const Difference& d) {
    return d.kind_of == stored.difference.kind_of && d.line == stored.difference.line &&
           d.transfer_id == stored.difference.transfer_id;
  });
}

StoredDifference DifferenceOf(const postgres::Row& row) {
  return {.difference_id = row[0].as<std::int64_t>(),
          .statement_id = row[1].c_str(),
          .difference = {.kind_of = static_cast<DifferenceClass>(row[2].as<int>()),
                         .line = row[3].as<int>(),
                         .transfer_id = row[4].as<std::int64_t>(),
                         .reference = row[5].c_str(),
                         .kind = static_cast<ProviderKind>(row[6].as<int>()),
                         .theirs = row[7].as<std::int64_t>(),
                         .ours = row[8].as<std::int64_t>(),
                         .currency = row[9].c_str()},
          .order_id = row[15].c_str(),
          .state = static_cast<DifferenceState>(row[10].as<int>()),
          .operator_id = row[11].c_str(),
          .note = row[12].c_str(),
          .correction_id = row[13].as<std::int64_t>(),
          .created_at = absl::FromUnixMicros(row[14].as<std::int64_t>())};
}

// The compensating transfer's id; nothing where it would lead an account too far below 0.
std::optional<std::int64_t> Correct(Transaction& transaction, const StoredDifference& stored) {
  SystemAccounts system;
  const std::string& currency = stored.difference.currency;
  OpenAccounts(transaction, {currency}, {});  // a payment that is missing here may be the currency's first
  LearnSystem(transaction, {currency}, system);
  const std::int64_t more = OwedMore(stored.difference);
  const std::int64_t amount = more > 0 ? more : -more;
  const std::int64_t provider = system.Find(AccountKind::kProvider, currency);
  const std::int64_t world = system.Find(AccountKind::kWorld, currency);
  const std::int64_t from = more > 0 ? provider : world;
  if (LockAccounts(transaction, {from}).at(from) < amount - kMostOwed) return std::nullopt;
  const std::vector<Transfer> transfers = {{TransferKind::kCorrection,
                                            from,
                                            more > 0 ? world : provider,
                                            {currency, amount},
                                            absl::StrCat(stored.difference_id)}};
  const std::int64_t id = InsertTransfers(transaction, transfers).front();
  Post(transaction, Sum(transfers, system));
  return id;
}

}  // namespace

ReconciliationStore::ReconciliationStore(postgres::Options options) : session_(PatientOptions(std::move(options))) {}

absl::StatusOr<Reconciled> ReconciliationStore::Reconcile(const std::string& statement_id) {
  Reconciled reconciled;
  const absl::Status status = session_.Transact([&](Transaction& transaction) -> absl::Status {
    LockReconciliation(transaction);
    const postgres::Rows statement = transaction.Run(kStatement, statement_id);
    if (statement.empty()) return absl::NotFoundError("no such statement");
    std::int64_t added = 0;
    const auto state = static_cast<StatementState>(statement[0][1].as<int>());
    reconciled = {.lines = statement[0][0].as<int>()};
    if (state == StatementState::kWithdrawn) return absl::OkStatus();
    if (state == StatementState::kOpen) {
      added = Write(transaction, statement_id, CompareNow(transaction, statement_id));
    }
    const postgres::Rows end = transaction.Run(kFinish, statement_id, added > 0 ? 1 : 0);
    reconciled = {.lines = statement[0][0].as<int>(),
                  .matched = end[0][2].as<int>(),
                  .open = end[0][0].as<int>(),
                  .told = added > 0};
    if (added > 0) {
      const std::vector<events::Event> events = {DifferencesEvent(statement_id, end[0][1].as<int>(), added,
                                                                  reconciled.open,
                                                                  absl::FromUnixMicros(end[0][3].as<std::int64_t>()))};
      events::Append(transaction, events);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return reconciled;
}

absl::StatusOr<std::vector<StoredDifference>> ReconciliationStore::List(const DifferenceQuery& query) {
  std::vector<StoredDifference> differences;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    differences.clear();
    for (const auto& row :
         query.statement_id.empty()
             ? transaction.Run(kList, query.after, query.all_states, query.limit)
             : transaction.Run(kListOfStatement, query.after, query.all_states, query.limit, query.statement_id)) {
      differences.push_back(DifferenceOf(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return differences;
}

absl::StatusOr<Resolved> ReconciliationStore::Resolve(const Resolution& resolution) {
  const DifferenceState wanted = resolution.correct ? DifferenceState::kCorrected : DifferenceState::kDismissed;
  Resolved resolved;
  const auto refuse = [&](ResolutionOutcome outcome) {
    resolved.outcome = outcome;
    return absl::OkStatus();
  };
  const absl::Status status = session_.Transact([&](Transaction& transaction) -> absl::Status {
    resolved = {};
    LockReconciliation(transaction);
    const postgres::Rows rows = transaction.Run(kDifference, resolution.difference_id);
    if (rows.empty()) return refuse(ResolutionOutcome::kUnknown);
    StoredDifference& stored = resolved.difference = DifferenceOf(rows[0]);
    if (stored.state == wanted && stored.note == resolution.note) return absl::OkStatus();
    if (stored.state != DifferenceState::kOpen) return refuse(ResolutionOutcome::kClosed);
    if (resolution.correct && IsOfOrder(stored.difference.kind_of)) return refuse(ResolutionOutcome::kNotCorrectable);
    if (resolution.correct && !StillStands(transaction, stored)) return refuse(ResolutionOutcome::kGone);
    stored.state = wanted;
    stored.operator_id = resolution.operator_id;
    stored.note = resolution.note;
    if (resolution.correct) {
      const std::optional<std::int64_t> correction = Correct(transaction, stored);
      if (!correction.has_value()) return refuse(ResolutionOutcome::kBalanceLimit);
      stored.correction_id = *correction;
    }
    transaction.Run(kResolve, stored.difference_id, static_cast<int>(wanted), stored.operator_id, stored.note,
                    stored.correction_id);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return resolved;
}

}  // namespace flotilla::payment
