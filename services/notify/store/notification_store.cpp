#include "notify/store/notification_store.h"

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// Handled events are inserted by id, users counted up by id: two instances that were given the same events wait for
// each other in one order. A payload of NOTIFY may have 7,999 bytes: 100 users of up to 64 characters fit.
const Statement kApply = {"apply", R"(
    WITH input AS MATERIALIZED (
      SELECT DISTINCT ON (event_id) *
      FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::bigint[]) WITH ORDINALITY
        AS i(event_id, user_id, type, order_id, text, occurred_us, place)
      ORDER BY event_id, place),
    fresh AS (
      INSERT INTO handled_event (event_id) SELECT event_id FROM input ORDER BY event_id
      ON CONFLICT (event_id) DO NOTHING RETURNING event_id),
    news AS MATERIALIZED (
      SELECT input.*, row_number() OVER (PARTITION BY user_id ORDER BY place) AS nth,
             count(*) OVER (PARTITION BY user_id) AS total
      FROM input JOIN fresh USING (event_id)),
    counted AS (
      INSERT INTO user_sequence AS s (user_id, last)
      SELECT user_id, total FROM news WHERE nth = 1 ORDER BY user_id
      ON CONFLICT (user_id) DO UPDATE SET last = s.last + excluded.last RETURNING user_id, last),
    written AS (
      INSERT INTO notification (user_id, sequence, event_id, type, order_id, text, occurred_at)
      SELECT user_id, last - total + nth, event_id, type, order_id, text,
             timestamptz 'epoch' + occurred_us * interval '1 microsecond'
      FROM news JOIN counted USING (user_id))
    SELECT pg_notify('notification', string_agg(user_id, ' ')), (SELECT count(*) FROM fresh)
    FROM (SELECT user_id, (row_number() OVER () - 1) / 100 AS part FROM counted) AS parts
    GROUP BY part)"};

const Statement kBury = {"bury", R"(
    WITH input AS MATERIALIZED (
      SELECT DISTINCT ON (event_id) *
      FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[])
        AS i(event_id, stream_id, type, data, reason)
      ORDER BY event_id),
    fresh AS (
      INSERT INTO handled_event (event_id) SELECT event_id FROM input ORDER BY event_id
      ON CONFLICT (event_id) DO NOTHING RETURNING event_id)
    INSERT INTO dead_letter (event_id, stream_id, type, data, reason)
    SELECT event_id, stream_id, type, data, reason FROM input JOIN fresh USING (event_id))"};

const Statement kRead = {"read", R"(
    SELECT q.place, n.sequence, n.event_id, n.type, n.order_id, n.text,
           (extract(epoch FROM n.occurred_at) * 1000000)::bigint
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS q(user_id, after, count, place)
    CROSS JOIN LATERAL (
      SELECT * FROM notification
      WHERE notification.user_id = q.user_id AND sequence > q.after ORDER BY sequence LIMIT q.count) AS n
    ORDER BY q.place, n.sequence)"};

// One member of all rows, as an array parameter.
template <class Row>
std::vector<std::string_view> Column(const std::vector<Row>& rows, std::string Row::* member) {
  std::vector<std::string_view> column;
  column.reserve(rows.size());
  for (const Row& row : rows) column.push_back(row.*member);
  return column;
}

}  // namespace

absl::StatusOr<NotificationStore::Applied> NotificationStore::Apply(const Batch& batch) {
  Applied applied;
  const auto& notifications = batch.notifications;
  const auto& dead_letters = batch.dead_letters;
  if (notifications.empty() && dead_letters.empty()) return applied;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    applied = {};
    if (!notifications.empty()) {
      std::vector<std::int64_t> occurred;
      occurred.reserve(notifications.size());
      for (const Notification& n : notifications) occurred.push_back(absl::ToUnixMicros(n.occurred_at));
      const pqxx::result rows = transaction.Run(kApply, Array(Column(notifications, &Notification::event_id)),
                                                Array(Column(notifications, &Notification::user_id)),
                                                Array(Column(notifications, &Notification::type)),
                                                Array(Column(notifications, &Notification::order_id)),
                                                Array(Column(notifications, &Notification::text)), Array(occurred));
      if (!rows.empty()) applied.notifications = rows[0][1].as<std::int64_t>();
    }
    if (!dead_letters.empty()) {
      const pqxx::result rows = transaction.Run(kBury, Array(Column(dead_letters, &DeadLetter::event_id)),
                                                Array(Column(dead_letters, &DeadLetter::stream_id)),
                                                Array(Column(dead_letters, &DeadLetter::type)),
                                                postgres::ByteArray(Column(dead_letters, &DeadLetter::data)),
                                                Array(Column(dead_letters, &DeadLetter::reason)));
      applied.dead_letters = static_cast<std::int64_t>(rows.affected_rows());
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return applied;
}

absl::StatusOr<std::vector<std::vector<Notification>>> NotificationStore::Read(std::span<const Query> queries) {
  std::vector<std::string_view> users;
  std::vector<std::int64_t> afters, limits;
  for (const Query& query : queries) {
    users.push_back(query.user_id);
    afters.push_back(query.after);
    limits.push_back(query.limit);
  }
  std::vector<std::vector<Notification>> lists;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    lists.assign(queries.size(), {});
    for (const auto& row : transaction.Run(kRead, Array(users), Array(afters), Array(limits))) {
      const std::size_t index = row[0].as<std::size_t>() - 1;
      lists[index].push_back({.user_id = queries[index].user_id,
                              .sequence = row[1].as<std::int64_t>(),
                              .event_id = row[2].c_str(),
                              .type = row[3].c_str(),
                              .order_id = row[4].c_str(),
                              .text = row[5].c_str(),
                              .occurred_at = absl::FromUnixMicros(row[6].as<std::int64_t>())});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return lists;
}

}  // namespace flotilla::notify
