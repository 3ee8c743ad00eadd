#include "notify/store/delivery_store.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "notify/store/apply.h"
#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// An endpoint's row is the lock of its deliveries: who holds it claims or finishes them.
const Statement kPick = {"delivery_pick", R"(
    SELECT endpoint_id FROM endpoint
    WHERE enabled AND due_at <= now() AND endpoint_id <> ALL ($2::uuid[])
    ORDER BY due_at LIMIT $1::int FOR UPDATE SKIP LOCKED)"};

const Statement kClaim = {"delivery_claim", R"(
    WITH due AS (
      SELECT d.delivery_id FROM unnest($1::uuid[]) AS e(endpoint_id) CROSS JOIN LATERAL (
        SELECT delivery_id FROM delivery
        WHERE endpoint_id = e.endpoint_id AND state = 1 AND next_at <= now()
        ORDER BY next_at, delivery_id LIMIT $2::int) AS d),
    claimed AS (
      UPDATE delivery d SET attempts = attempts + 1, next_at = now() + $3::bigint * interval '1 microsecond'
      FROM due WHERE d.delivery_id = due.delivery_id
      RETURNING d.delivery_id, d.attempts, d.endpoint_id, d.user_id, d.sequence)
    SELECT c.delivery_id, c.attempts, c.user_id, e.endpoint_id, e.url, e.secret,
           CASE WHEN e.previous_until > now() THEN e.previous_secret END,
           extract(epoch FROM now())::bigint, )" NOTIFICATION_COLUMNS R"(
    FROM claimed c JOIN endpoint e ON e.endpoint_id = c.endpoint_id
    JOIN notification n ON n.user_id = c.user_id AND n.sequence = c.sequence)"};

// After a change of its deliveries.
const Statement kSchedule = {"endpoint_schedule", R"(
    UPDATE endpoint e SET due_at = (
      SELECT next_at FROM delivery d WHERE d.endpoint_id = e.endpoint_id AND state = 1
      ORDER BY next_at, delivery_id LIMIT 1)
    WHERE endpoint_id = ANY ($1::uuid[]))"};

const Statement kLock = {"endpoint_lock", "SELECT FROM endpoint WHERE endpoint_id = $1::uuid FOR UPDATE"};

const Statement kFinish = {"delivery_finish", R"(
    UPDATE delivery SET state = $3, next_at = now() + $4::bigint * interval '1 microsecond'
    WHERE delivery_id = $1 AND attempts = $2 AND state = 1)"};

const Statement kLogAttempt = {"delivery_log_attempt", R"(
    INSERT INTO delivery_attempt (delivery_id, http_status, error, duration_ms)
    SELECT delivery_id, $2, $3, $4 FROM delivery WHERE delivery_id = $1)"};

const Statement kDisable = {"endpoint_disable", R"(
    UPDATE endpoint SET enabled = false, disabled_reason = $2, times_disabled = times_disabled + 1
    WHERE endpoint_id = $1::uuid AND enabled RETURNING times_disabled)"};

Attempt AttemptFrom(const postgres::Row& row) {
  Attempt attempt;
  attempt.delivery_id = row[0].as<std::int64_t>();
  attempt.number = row[1].as<int>();
  attempt.endpoint.user_id = row[2].c_str();
  attempt.endpoint.endpoint_id = row[3].c_str();
  attempt.endpoint.url = row[4].c_str();
  attempt.endpoint.secret = postgres::FromBytes(row[5].c_str());
  if (!row[6].is_null()) attempt.endpoint.previous_secret = postgres::FromBytes(row[6].c_str());
  attempt.claimed_at = absl::FromUnixSeconds(row[7].as<std::int64_t>());
  attempt.notification = FromRow(attempt.endpoint.user_id, row, 8);
  return attempt;
}

absl::Duration Jittered(absl::Duration wait) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return wait * std::uniform_real_distribution<double>(1.0, 1.2)(random);
}

// Tells the owner, exactly once for each time it is disabled.
void Disable(Transaction& transaction, const Endpoint& endpoint, const std::string& reason) {
  const postgres::Rows rows = transaction.Run(kDisable, endpoint.endpoint_id, reason);
  if (rows.empty()) return;
  Batch notice;
  notice.notifications.push_back(
      {.user_id = endpoint.user_id,
       .event_id = EffectId("notify", absl::StrCat(endpoint.endpoint_id, "/", rows[0][0].c_str())),
       .type = "webhook.disabled",
       .values = {{"url", endpoint.url}, {"reason", reason}},
       .occurred_at = absl::Now()});
  Apply(transaction, postgres::Care::kLook, notice);
}

}  // namespace

absl::StatusOr<std::vector<Attempt>> DeliveryStore::Claim(int endpoints, int per_endpoint,
                                                          const std::vector<std::string>& busy, absl::Duration lease) {
  std::vector<Attempt> attempts;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    attempts.clear();
    std::vector<std::string> picked;
    for (const auto& row : transaction.Run(kPick, endpoints, Array(busy))) picked.push_back(row[0].c_str());
    if (picked.empty()) return absl::OkStatus();
    const postgres::Rows rows = transaction.Run(kClaim, Array(picked), per_endpoint, absl::ToInt64Microseconds(lease));
    for (const auto& row : rows) attempts.push_back(AttemptFrom(row));
    transaction.Defer(kSchedule, Array(picked));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return attempts;
}

absl::Status DeliveryStore::Finish(const Attempt& attempt, const Outcome& outcome) {
  const bool last = attempt.number >= policy_.attempts;
  const DeliveryState state = outcome.ok() ? DeliveryState::kDelivered
                              : last       ? DeliveryState::kFailed
                                           : DeliveryState::kPending;
  const absl::Duration wait = Jittered(policy_.After(attempt.number));
  const std::string endpoint_id = attempt.endpoint.endpoint_id;
  const std::string error = outcome.ok()               ? ""
                            : outcome.http_status == 0 ? outcome.error
                                                       : absl::StrCat("it answered ", outcome.http_status);
  return session_.Transact([&](Transaction& transaction) {
    transaction.Run(kLock, endpoint_id);
    transaction.Run(kLogAttempt, attempt.delivery_id, outcome.http_status, error,
                    absl::ToInt64Milliseconds(outcome.duration));
    const postgres::Rows finished = transaction.Run(kFinish, attempt.delivery_id, attempt.number,
                                                    static_cast<int>(state), absl::ToInt64Microseconds(wait));
    if (finished.affected_rows() > 0 && state == DeliveryState::kFailed) {
      Disable(transaction, attempt.endpoint, error);
    }
    transaction.Defer(kSchedule, Array(std::vector<std::string>{endpoint_id}));
    return absl::OkStatus();
  });
}

}  // namespace flotilla::notify
