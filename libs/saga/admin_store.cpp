#include "saga/admin_store.h"

#include <algorithm>
#include <ranges>
#include <span>

#include "errors/errors.h"
#include "failpoint/failpoint.h"

namespace flotilla::saga {
namespace {

using postgres::Statement;
using postgres::Transaction;

#define MICROS(time) "(extract(epoch FROM " time ") * 1000000)::bigint"
#define SAGA_COLUMNS \
  "type, id, version, direction, parked_step, error, reason, compensable, owner, " MICROS("created_at")

// Follows the primary key, so that a page costs its rows however many sagas are open.
const Statement kList = {"saga_admin_list", "SELECT " SAGA_COLUMNS R"(
    FROM saga
    WHERE (type, id) > ($1, $2) AND ($3 = '' OR type = $3) AND ($4::int < 0 OR direction = $4::int)
      AND created_at <= now() - $5::bigint * interval '1 microsecond'
    ORDER BY type, id LIMIT $6::int)"};

const Statement kGet = {"saga_admin_get", "SELECT " SAGA_COLUMNS " FROM saga WHERE type = $1 AND id = $2"};

const Statement kGetArchived = {"saga_admin_get_archived",
                                "SELECT type, id, version, 3, parked_step, error, reason, false, '', " MICROS(
                                    "created_at") " FROM saga_archive WHERE type = $1 AND id = $2 "
                                                  "ORDER BY archived_at DESC LIMIT 1"};

const Statement kHistory = {"saga_admin_history", "SELECT kind, step, attempt, error, owner, " MICROS("at") R"(
    FROM saga_history WHERE type = $1 AND id = $2 ORDER BY sequence DESC LIMIT 200)"};

#define ACT_COLUMNS "sequence, operator, act, type, id, note, " MICROS("at")

const Statement kActs = {"saga_admin_acts", "SELECT " ACT_COLUMNS R"(
    FROM operator_act WHERE sequence < $1::bigint ORDER BY sequence DESC LIMIT $2::int)"};

const Statement kActsOfSaga = {"saga_admin_acts_of_saga", "SELECT " ACT_COLUMNS R"(
    FROM operator_act WHERE type = $1 AND id = $2 AND sequence < $3::bigint ORDER BY sequence DESC LIMIT $4::int)"};

const Statement kLock = {"saga_admin_lock",
                         "SELECT direction, compensable, data FROM saga WHERE type = $1 AND id = $2 FOR UPDATE"};

// Free for any instance at once, under a new fence.
#define FREED                                                                                          \
  "direction = CASE WHEN compensate THEN 1 ELSE parked_from END, "                                     \
  "reason = CASE WHEN compensate AND parked_from = 0 THEN 'COMPENSATED_BY_OPERATOR' ELSE reason END, " \
  "parked_from = NULL, parked_step = '', error = '', compensable = false, fence = fence + 1, "         \
  "owner = '', lease_until = now() - interval '1 microsecond', troubled = true"

const Statement kUnpark = {"saga_admin_unpark", "UPDATE saga SET " FREED R"(
    FROM (SELECT $3::boolean AS compensate) act WHERE type = $1 AND id = $2)"};

const Statement kRetryAll = {"saga_admin_retry_all", R"(
    WITH chosen AS MATERIALIZED (
      SELECT type, id, false AS compensate FROM saga
      WHERE direction = 2 AND ($1 = '' OR type = $1) AND ($2 = '' OR parked_step = $2)
        AND created_at <= now() - $3::bigint * interval '1 microsecond'
      ORDER BY type, id LIMIT $4::int FOR UPDATE SKIP LOCKED),
    freed AS (
      UPDATE saga s SET )" FREED R"( FROM chosen c WHERE s.type = c.type AND s.id = c.id RETURNING s.type, s.id),
    written AS (
      INSERT INTO operator_act (operator, act, type, id, note)
      SELECT $5, 1, type, id, $6 FROM freed ORDER BY type, id RETURNING 1)
    SELECT count(*) FROM written)"};
#undef FREED

const Statement kArchive = {"saga_admin_archive", R"(
    WITH ended AS (DELETE FROM saga WHERE type = $1 AND id = $2 RETURNING *)
    INSERT INTO saga_archive (type, id, version, parked_from, parked_step, data, reason, error, fence, created_at)
    SELECT type, id, version, parked_from, parked_step, data, reason, error, fence, created_at FROM ended)"};

const Statement kWriteAct = {"saga_admin_write_act", R"(
    INSERT INTO operator_act (operator, act, type, id, note) VALUES ($1, $2::smallint, $3, $4, $5))"};

#undef ACT_COLUMNS
#undef SAGA_COLUMNS
#undef MICROS

SagaView ViewOf(const postgres::Row& row) {
  SagaView view;
  view.key = {row[0].c_str(), row[1].c_str()};
  view.version = row[2].as<int>();
  view.state = static_cast<State>(row[3].as<int>());
  view.parked_step = row[4].c_str();
  view.error = row[5].c_str();
  view.reason = row[6].c_str();
  view.compensable = row[7].as<bool>();
  view.owner = row[8].c_str();
  view.created_at = absl::FromUnixMicros(row[9].as<std::int64_t>());
  return view;
}

HistoryEntry EntryOf(const postgres::Row& row) {
  return {.kind = static_cast<HistoryEntry::Kind>(row[0].as<int>()),
          .step = row[1].c_str(),
          .attempt = row[2].as<int>(),
          .error = row[3].c_str(),
          .owner = row[4].c_str(),
          .at = absl::FromUnixMicros(row[5].as<std::int64_t>())};
}

// Of a saga that has ended. An owner that was frozen may write what failed after another one has ended it.
std::optional<Outcome> OutcomeOf(std::span<const HistoryEntry> history) {
  for (const HistoryEntry& entry : history | std::views::reverse) {
    if (entry.kind == HistoryKind::kCompleted) return Outcome::kCompleted;
    if (entry.kind == HistoryKind::kCompensated) return Outcome::kCompensated;
    if (entry.kind == HistoryKind::kParked) break;
  }
  return std::nullopt;
}

std::vector<OperatorAct> ActsOf(const postgres::Rows& rows) {
  std::vector<OperatorAct> acts;
  for (const auto& row : rows) {
    acts.push_back({.sequence = row[0].as<std::int64_t>(),
                    .operator_id = row[1].c_str(),
                    .act = static_cast<Act>(row[2].as<int>()),
                    .saga = {row[3].c_str(), row[4].c_str()},
                    .note = row[5].c_str(),
                    .at = absl::FromUnixMicros(row[6].as<std::int64_t>())});
  }
  return acts;
}

absl::Status Unknown() {
  return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_SAGA", "no such saga is open or has had trouble");
}

absl::Status NotParked() {
  return errors::Make(absl::StatusCode::kFailedPrecondition, "SAGA_NOT_PARKED",
                      "the saga is not parked: it is under way, or another operator was faster");
}

absl::Status PastPivot() {
  return errors::Make(absl::StatusCode::kFailedPrecondition, "SAGA_PAST_PIVOT",
                      "the saga can only go forward from where it stands: retry or resolve it");
}

}  // namespace

absl::StatusOr<std::vector<SagaView>> AdminStore::List(const SagaQuery& query) {
  std::vector<SagaView> sagas;
  const int state = query.state.has_value() ? static_cast<int>(*query.state) : -1;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    sagas.clear();
    for (const auto& row : transaction.Run(kList, query.after.type, query.after.id, query.type, state,
                                           absl::ToInt64Microseconds(query.min_age), query.limit)) {
      sagas.push_back(ViewOf(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return sagas;
}

absl::StatusOr<SagaDetail> AdminStore::Get(const SagaKey& key) {
  SagaDetail detail;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    detail = {};
    detail.saga.key = key;
    postgres::Rows record = transaction.Run(kGet, key.type, key.id);
    if (record.empty()) record = transaction.Run(kGetArchived, key.type, key.id);
    for (const auto& row : transaction.Run(kHistory, key.type, key.id)) detail.history.push_back(EntryOf(row));
    std::reverse(detail.history.begin(), detail.history.end());
    detail.acts = ActsOf(transaction.Run(kActsOfSaga, key.type, key.id, std::int64_t{INT64_MAX}, 200));
    std::reverse(detail.acts.begin(), detail.acts.end());
    if (!record.empty()) {
      detail.saga = ViewOf(record[0]);
    } else if (detail.history.empty() && detail.acts.empty()) {
      return Unknown();
    } else {
      detail.saga.state = State::kEnded;
      detail.saga.outcome = OutcomeOf(detail.history);
      detail.saga.created_at = absl::InfinitePast();
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return detail;
}

absl::StatusOr<std::vector<OperatorAct>> AdminStore::Acts(const ActQuery& query) {
  std::vector<OperatorAct> acts;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    acts = ActsOf(query.saga.has_value()
                      ? transaction.Run(kActsOfSaga, query.saga->type, query.saga->id, query.before, query.limit)
                      : transaction.Run(kActs, query.before, query.limit));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return acts;
}

absl::Status AdminStore::Do(Act act, const SagaKey& key, const std::string& operator_id, const std::string& note,
                            int end) {
  return session_.Transact([&](Transaction& transaction) -> absl::Status {
    const postgres::Rows locked = transaction.Run(kLock, key.type, key.id);
    if (locked.empty()) return Unknown();
    if (static_cast<State>(locked[0][0].as<int>()) != State::kParked) return NotParked();
    if (act == Act::kCompensate && !locked[0][1].as<bool>()) return PastPivot();
    if (act == Act::kResolve) {
      const absl::Status concluded =
          conclude_ ? conclude_(transaction, key, postgres::FromBytes(locked[0][2].c_str()), end) : absl::OkStatus();
      if (!concluded.ok()) return concluded;
      if (absl::Status status = FLOTILLA_FAILPOINT("admin.resolve.concluded"); !status.ok()) return status;
      transaction.Run(kArchive, key.type, key.id);
      if (absl::Status status = FLOTILLA_FAILPOINT("admin.resolve.archived"); !status.ok()) return status;
    } else {
      transaction.Run(kUnpark, key.type, key.id, act == Act::kCompensate);
    }
    transaction.Defer(kWriteAct, operator_id, static_cast<int>(act), key.type, key.id, note);
    return absl::OkStatus();
  });
}

absl::StatusOr<int> AdminStore::RetryAll(const RetryQuery& query, const std::string& operator_id,
                                         const std::string& note) {
  int count = 0;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    count = transaction
                .Run(kRetryAll, query.type, query.parked_step, absl::ToInt64Microseconds(query.min_age), query.limit,
                     operator_id, note)[0][0]
                .as<int>();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return count;
}

}  // namespace flotilla::saga
