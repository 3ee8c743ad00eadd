#include "notify/store/endpoint_store.h"

#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Statement;
using postgres::Transaction;

// Locks the mailbox: registering and the making of deliveries take turns.
const Statement kCountUp = {"endpoint_count_up", R"(
    INSERT INTO mailbox AS m (user_id, last, endpoints) VALUES ($1, 0, 1)
    ON CONFLICT (user_id) DO UPDATE SET endpoints = m.endpoints + 1 WHERE m.endpoints < $2::int)"};
const Statement kAdd = {"endpoint_add", R"(
    INSERT INTO endpoint (endpoint_id, user_id, url, secret, event_types)
    VALUES ($1::uuid, $2, $3, $4::bytea, $5::text[]) ON CONFLICT (user_id, url) DO NOTHING)"};
const Statement kList = {"endpoint_list", R"(
    SELECT endpoint_id, url, event_types, enabled, disabled_reason, (extract(epoch FROM created_at) * 1000000)::bigint
    FROM endpoint WHERE user_id = $1 ORDER BY created_at, endpoint_id)"};
const Statement kRemove = {"endpoint_remove", "DELETE FROM endpoint WHERE user_id = $1 AND endpoint_id = $2::uuid"};
const Statement kCountDown = {"endpoint_count_down", "UPDATE mailbox SET endpoints = endpoints - 1 WHERE user_id = $1"};
// Before the deliveries are looked at: whoever makes one due holds this lock until it is committed.
const Statement kLockOwned = {"endpoint_lock_owned",
                              "SELECT FROM endpoint WHERE user_id = $1 AND endpoint_id = $2::uuid FOR UPDATE"};
const Statement kEnable = {"endpoint_enable", R"(
    UPDATE endpoint e SET enabled = true, disabled_reason = '', due_at = p.next_at
    FROM (SELECT min(next_at) AS next_at FROM delivery WHERE endpoint_id = $2::uuid AND state = 1) AS p
    WHERE user_id = $1 AND endpoint_id = $2::uuid)"};
const Statement kRotate = {"endpoint_rotate", R"(
    UPDATE endpoint SET previous_secret = secret, previous_until = now() + $4::bigint * interval '1 microsecond',
           secret = $3::bytea
    WHERE user_id = $1 AND endpoint_id = $2::uuid)"};
const Statement kOwned = {"endpoint_owned", "SELECT FROM endpoint WHERE user_id = $1 AND endpoint_id = $2::uuid"};
const Statement kLog = {"delivery_log", R"(
    SELECT d.delivery_id, n.event_id, n.type, d.state, d.attempts, coalesce(a.http_status, 0), coalesce(a.error, ''),
           coalesce(a.duration_ms, 0), (extract(epoch FROM d.created_at) * 1000000)::bigint,
           (extract(epoch FROM d.next_at) * 1000000)::bigint
    FROM delivery d
    JOIN notification n USING (user_id, sequence)
    LEFT JOIN LATERAL (
      SELECT * FROM delivery_attempt t WHERE t.delivery_id = d.delivery_id ORDER BY attempted_at DESC LIMIT 1) a ON true
    WHERE d.endpoint_id = $1::uuid AND ($2::bigint = 0 OR d.delivery_id < $2) AND ($4::int = 0 OR d.state = $4)
    ORDER BY d.delivery_id DESC LIMIT $3::int)"};
const Statement kAgain = {"delivery_again", R"(
    UPDATE delivery SET state = 1, attempts = 0, next_at = now() WHERE delivery_id = $1 AND user_id = $2
    RETURNING endpoint_id)"};
const Statement kDue = {"endpoint_due",
                        "UPDATE endpoint SET due_at = least(due_at, now()) WHERE endpoint_id = $1::uuid"};

Delivery DeliveryFrom(const postgres::Row& row) {
  return {.delivery_id = row[0].as<std::int64_t>(),
          .event_id = row[1].c_str(),
          .type = row[2].c_str(),
          .state = static_cast<DeliveryState>(row[3].as<int>()),
          .attempts = row[4].as<int>(),
          .last = {.http_status = row[5].as<int>(),
                   .error = row[6].c_str(),
                   .duration = absl::Milliseconds(row[7].as<std::int64_t>())},
          .created_at = absl::FromUnixMicros(row[8].as<std::int64_t>()),
          .next_at = absl::FromUnixMicros(row[9].as<std::int64_t>())};
}

}  // namespace

absl::Status EndpointStore::Add(const Endpoint& endpoint) {
  return session_.Transact([&](Transaction& transaction) -> absl::Status {
    if (transaction.Run(kCountUp, endpoint.user_id, kMaxEndpoints).affected_rows() == 0) {
      return absl::ResourceExhaustedError("too many endpoints");
    }
    const postgres::Rows added =
        transaction.Run(kAdd, endpoint.endpoint_id, endpoint.user_id, endpoint.url, postgres::Bytes(endpoint.secret),
                        postgres::Array(endpoint.event_types));
    return added.affected_rows() > 0 ? absl::OkStatus() : absl::AlreadyExistsError("the user has it");
  });
}

absl::StatusOr<std::vector<Endpoint>> EndpointStore::List(const std::string& user_id) {
  std::vector<Endpoint> endpoints;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    endpoints.clear();
    for (const auto& row : transaction.Run(kList, user_id)) {
      endpoints.push_back({.endpoint_id = row[0].c_str(),
                           .user_id = user_id,
                           .url = row[1].c_str(),
                           .secret = "",
                           .event_types = postgres::Elements(row[2]),
                           .enabled = row[3].as<bool>(),
                           .disabled_reason = row[4].c_str(),
                           .created_at = absl::FromUnixMicros(row[5].as<std::int64_t>())});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return endpoints;
}

absl::StatusOr<bool> EndpointStore::Remove(const std::string& user_id, const std::string& endpoint_id) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    found = transaction.Run(kRemove, user_id, endpoint_id).affected_rows() > 0;
    if (found) transaction.Run(kCountDown, user_id);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<bool> EndpointStore::Enable(const std::string& user_id, const std::string& endpoint_id) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    found = !transaction.Run(kLockOwned, user_id, endpoint_id).empty();
    if (found) transaction.Run(kEnable, user_id, endpoint_id);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<bool> EndpointStore::Rotate(const std::string& user_id, const std::string& endpoint_id,
                                           const std::string& secret, absl::Duration overlap) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    found = transaction.Run(kRotate, user_id, endpoint_id, postgres::Bytes(secret), absl::ToInt64Microseconds(overlap))
                .affected_rows() > 0;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<std::vector<Delivery>> EndpointStore::Log(const LogQuery& query) {
  std::vector<Delivery> log;
  const absl::Status status = session_.Read([&](Transaction& transaction) -> absl::Status {
    log.clear();
    if (transaction.Run(kOwned, query.user_id, query.endpoint_id).empty()) return absl::OkStatus();
    for (const auto& row : transaction.Run(kLog, query.endpoint_id, query.before, query.limit, query.state)) {
      log.push_back(DeliveryFrom(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return log;
}

absl::StatusOr<bool> EndpointStore::Redeliver(const std::string& user_id, std::int64_t delivery_id) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const postgres::Rows rows = transaction.Run(kAgain, delivery_id, user_id);
    found = !rows.empty();
    if (found) transaction.Run(kDue, rows[0][0].c_str());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

}  // namespace flotilla::notify
