#include "notify/store/mailbox_store.h"

#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// channels & 1: Channel kMailbox.
const Statement kList = {"mailbox_list", "SELECT " NOTIFICATION_COLUMNS R"(, n.sequence <= m.read_through
    FROM mailbox m JOIN notification n USING (user_id)
    WHERE m.user_id = $1 AND n.sequence > $2 AND n.channels & 1 <> 0
      AND ($4::text[] = '{}' OR n.type = ANY ($4::text[]))
      AND (NOT $5::boolean OR (n.sequence > m.read_through AND NOT n.read))
    ORDER BY n.sequence LIMIT $3::int)"};

const Statement kSummarize = {"mailbox_summarize", R"(
    SELECT m.last, u.count
    FROM mailbox m, LATERAL (
      SELECT count(*) FROM (
        SELECT FROM notification n
        WHERE n.user_id = m.user_id AND n.sequence > m.read_through AND NOT n.read AND n.channels & 1 <> 0
        LIMIT $2::int) AS counted) AS u
    WHERE m.user_id = $1)"};

const Statement kMarkThrough = {"mailbox_mark_through", R"(
    UPDATE mailbox SET read_through = least($2::bigint, last) WHERE user_id = $1 AND read_through < least($2, last))"};

const Statement kMark = {"mailbox_mark", R"(
    UPDATE notification SET read = true WHERE user_id = $1 AND sequence = ANY ($2::bigint[]) AND NOT read)"};

const Statement kReadPreferences = {"mailbox_read_preferences",
                                    "SELECT language, muted_types, muted_channels FROM mailbox WHERE user_id = $1"};

const Statement kWritePreferences = {"mailbox_write_preferences", R"(
    INSERT INTO mailbox AS m (user_id, last, language, muted_types, muted_channels)
    VALUES ($1, 0, $2, $3::text[], $4::smallint[])
    ON CONFLICT (user_id) DO UPDATE
    SET language = excluded.language, muted_types = excluded.muted_types, muted_channels = excluded.muted_channels)"};

MailboxStore::Summary Summary(Transaction& transaction, const std::string& user_id) {
  const postgres::Rows rows = transaction.Run(kSummarize, user_id, MailboxStore::kMaxUnread);
  if (rows.empty()) return {};
  return {.last_sequence = rows[0][0].as<std::int64_t>(), .unread = rows[0][1].as<int>()};
}

}  // namespace

absl::StatusOr<std::vector<Notification>> MailboxStore::List(const Query& query) {
  std::vector<Notification> list;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    list.clear();
    for (const auto& row :
         transaction.Run(kList, query.user_id, query.after, query.limit, Array(query.types), query.unread_only)) {
      Notification n = FromRow(query.user_id, row);
      n.read = n.read || row[8].as<bool>();
      list.push_back(std::move(n));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return list;
}

absl::StatusOr<MailboxStore::Summary> MailboxStore::Summarize(const std::string& user_id) {
  MailboxStore::Summary summary;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    summary = notify::Summary(transaction, user_id);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return summary;
}

absl::StatusOr<MailboxStore::Summary> MailboxStore::MarkRead(const std::string& user_id, std::int64_t through,
                                                             const std::vector<std::int64_t>& sequences) {
  MailboxStore::Summary summary;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    if (through > 0) transaction.Run(kMarkThrough, user_id, through);
    if (!sequences.empty()) transaction.Run(kMark, user_id, Array(sequences));
    summary = notify::Summary(transaction, user_id);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return summary;
}

absl::StatusOr<Preferences> MailboxStore::ReadPreferences(const std::string& user_id) {
  Preferences preferences;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const postgres::Rows rows = transaction.Run(kReadPreferences, user_id);
    preferences = rows.empty() ? Preferences() : PreferencesFrom(rows[0][0], rows[0][1], rows[0][2]);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return preferences;
}

absl::Status MailboxStore::WritePreferences(const std::string& user_id, const Preferences& preferences) {
  return session_.Transact([&](Transaction& transaction) {
    const auto channels = Numbers(preferences.muted, [](const Mute& mute) { return std::int64_t{mute.channels}; });
    transaction.Run(kWritePreferences, user_id, preferences.language, Array(Column(preferences.muted, &Mute::type)),
                    Array(channels));
    return absl::OkStatus();
  });
}

}  // namespace flotilla::notify
