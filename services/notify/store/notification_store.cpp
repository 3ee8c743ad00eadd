#include "notify/store/notification_store.h"

#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

const Statement kRead = {"read", "SELECT q.place, " NOTIFICATION_COLUMNS R"(
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS q(user_id, after, count, place)
    CROSS JOIN LATERAL (
      SELECT * FROM notification
      WHERE notification.user_id = q.user_id AND sequence > q.after ORDER BY sequence LIMIT q.count) AS n
    ORDER BY q.place, n.sequence)"};

}  // namespace

absl::StatusOr<Applied> NotificationStore::Apply(const Batch& batch, const std::string& origin) {
  Applied applied;
  if (batch.notifications.empty() && batch.dead_letters.empty()) return applied;
  const absl::Status status = session_.TransactHopefully([&](Transaction& transaction, postgres::Care care) {
    applied = notify::Apply(transaction, care, batch, origin);
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
      lists[index].push_back(FromRow(queries[index].user_id, row, 1));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return lists;
}

}  // namespace flotilla::notify
