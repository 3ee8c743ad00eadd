#include "notify/store/notification_store.h"

#include <map>
#include <set>

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// Handled events are inserted by id, users counted up by id: two instances that were given the same events wait for
// each other in one order. Simple statements in a row: joins of a batch with itself grow with its square.
const Statement kHandle = {"handle", R"(
    INSERT INTO handled_event (event_id) SELECT * FROM unnest($1::text[])
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id)"};

const Statement kCount = {"count", R"(
    INSERT INTO user_sequence AS s (user_id, last) SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (user_id) DO UPDATE SET last = s.last + excluded.last RETURNING user_id, last)"};

const Statement kWrite = {"write", R"(
    INSERT INTO notification (user_id, sequence, event_id, type, order_id, text, occurred_at)
    SELECT user_id, sequence, event_id, type, order_id, text,
           timestamptz 'epoch' + occurred_us * interval '1 microsecond'
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::bigint[])
      AS i(user_id, sequence, event_id, type, order_id, text, occurred_us))"};

const Statement kTell = {"tell", "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"};

// A payload of NOTIFY may have 7,999 bytes: 100 users of up to 64 characters fit.
constexpr std::size_t kUsersAPayload = 100;

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

// Those whose event is handled by this transaction and by no other, the batch's own repeats left out; in order of
// arrival.
std::vector<Notification> Fresh(Transaction& transaction, const std::vector<Notification>& notifications) {
  std::set<std::string_view> ids;
  for (const Notification& n : notifications) ids.insert(n.event_id);
  const std::vector<std::string_view> sorted(ids.begin(), ids.end());
  std::set<std::string> fresh;
  for (const auto& row : transaction.Run(kHandle, Array(sorted))) fresh.insert(row[0].c_str());
  std::vector<Notification> out;
  out.reserve(fresh.size());
  for (const Notification& n : notifications) {
    if (fresh.erase(n.event_id) > 0) out.push_back(n);
  }
  return out;
}

// Gives each its number in its user's list; returns the users.
std::vector<std::string> Number(Transaction& transaction, std::vector<Notification>& notifications) {
  std::map<std::string, std::int64_t> counts;
  for (const Notification& n : notifications) ++counts[n.user_id];
  std::vector<std::string> users;
  std::vector<std::int64_t> more;
  for (const auto& [user, count] : counts) {
    users.push_back(user);
    more.push_back(count);
  }
  std::map<std::string, std::int64_t> next;
  for (const auto& row : transaction.Run(kCount, Array(users), Array(more))) {
    const std::string user = row[0].c_str();
    next[user] = row[1].as<std::int64_t>() - counts.at(user) + 1;
  }
  for (Notification& n : notifications) n.sequence = next.at(n.user_id)++;
  return users;
}

void Write(Transaction& transaction, const std::vector<Notification>& notifications) {
  std::vector<std::int64_t> sequences, times;
  for (const Notification& n : notifications) {
    sequences.push_back(n.sequence);
    times.push_back(absl::ToUnixMicros(n.occurred_at));
  }
  transaction.Defer(kWrite, Array(Column(notifications, &Notification::user_id)), Array(sequences),
                    Array(Column(notifications, &Notification::event_id)),
                    Array(Column(notifications, &Notification::type)),
                    Array(Column(notifications, &Notification::order_id)),
                    Array(Column(notifications, &Notification::text)), Array(times));
}

void Tell(Transaction& transaction, const std::vector<std::string>& users) {
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < users.size(); ++i) {
    if (i % kUsersAPayload == 0) {
      payloads.push_back(users[i]);
    } else {
      payloads.back().append(" ").append(users[i]);
    }
  }
  transaction.Defer(kTell, kChannel, Array(payloads));
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
      std::vector<Notification> fresh = Fresh(transaction, notifications);
      if (!fresh.empty()) {
        const std::vector<std::string> users = Number(transaction, fresh);
        Write(transaction, fresh);
        Tell(transaction, users);
      }
      applied.notifications = static_cast<std::int64_t>(fresh.size());
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
  const absl::Status status = session_.Read([&](Transaction& transaction) {
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
