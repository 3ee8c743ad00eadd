#include "notify/store/apply.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Array;
using postgres::Care;
using postgres::Statement;
using postgres::Transaction;

// Handled events are inserted by id, users counted up by id: two instances that were given the same events wait for
// each other in one order. Simple statements in a row: joins of a batch with itself grow with its square.
const Statement kHandleNew = {"handle_new", R"(
    INSERT INTO handled_event (event_id) SELECT * FROM unnest($1::text[]))"};
const Statement kHandle = {"handle", R"(
    INSERT INTO handled_event (event_id) SELECT * FROM unnest($1::text[])
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id)"};

#define MAILBOX_COLUMNS "m.user_id, m.last, m.language, m.muted_types, m.muted_channels, m.endpoints"
// The array is sorted and drives the look-ups, so rows are locked in its order.
const Statement kCountKnown = {"count_known", R"(
    UPDATE mailbox m SET last = m.last + i.more FROM unnest($1::text[], $2::bigint[]) AS i(user_id, more)
    WHERE m.user_id = i.user_id RETURNING )" MAILBOX_COLUMNS};
const Statement kCount = {"count", R"(
    INSERT INTO mailbox AS m (user_id, last) SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (user_id) DO UPDATE SET last = m.last + excluded.last
    RETURNING )" MAILBOX_COLUMNS};
#undef MAILBOX_COLUMNS

const Statement kWrite = {"write", R"(
    INSERT INTO notification (user_id, sequence, event_id, type, order_id, text, occurred_at, channels)
    SELECT user_id, sequence, event_id, type, nullif(order_id, '')::uuid, text,
           timestamptz 'epoch' + occurred_us * interval '1 microsecond', channels
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
      AS i(user_id, sequence, event_id, type, order_id, text, occurred_us, channels))"};

const Statement kTell = {"tell", "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"};

// A payload of NOTIFY may have 7,999 bytes: 90 users of up to 64 characters with their numbers fit.
constexpr std::size_t kUsersAPayload = 90;

const Statement kDeliver = {"deliver", R"(
    WITH added AS (
      INSERT INTO delivery (endpoint_id, user_id, sequence)
      SELECT e.endpoint_id, n.user_id, n.sequence
      FROM unnest($1::text[], $2::bigint[], $3::text[]) AS n(user_id, sequence, type)
      JOIN endpoint e ON e.user_id = n.user_id
      WHERE e.enabled AND (e.event_types = '{}' OR n.type = ANY (e.event_types))
      ON CONFLICT (endpoint_id, sequence) DO NOTHING RETURNING endpoint_id)
    UPDATE endpoint SET due_at = least(due_at, now()) WHERE endpoint_id IN (SELECT endpoint_id FROM added))"};

const Statement kBury = {"bury", R"(
    WITH input AS MATERIALIZED (
      SELECT DISTINCT ON (event_id) *
      FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
        AS i(event_id, stream_id, type, data, reason, source, sequence, occurred_us)
      ORDER BY event_id),
    fresh AS (
      INSERT INTO handled_event (event_id) SELECT event_id FROM input ORDER BY event_id
      ON CONFLICT (event_id) DO NOTHING RETURNING event_id)
    INSERT INTO dead_letter (event_id, stream_id, type, data, reason, source, sequence, occurred_at)
    SELECT event_id, stream_id, type, data, reason, source, sequence,
           timestamptz 'epoch' + occurred_us * interval '1 microsecond' FROM input JOIN fresh USING (event_id))"};

// Those whose event is handled by this transaction and by no other, the batch's own repeats left out; in order of
// arrival.
std::vector<Notification> Fresh(Transaction& transaction, Care care, const std::vector<Notification>& notifications) {
  std::set<std::string_view> ids;
  for (const Notification& n : notifications) ids.insert(n.event_id);
  const std::vector<std::string_view> sorted(ids.begin(), ids.end());
  if (care == Care::kHope && sorted.size() == notifications.size()) {
    transaction.Defer(kHandleNew, Array(sorted));
    return notifications;
  }
  std::set<std::string> fresh;
  for (const auto& row : transaction.Run(kHandle, Array(sorted))) fresh.insert(row[0].c_str());
  std::vector<Notification> out;
  out.reserve(fresh.size());
  for (const Notification& n : notifications) {
    if (fresh.erase(n.event_id) > 0) out.push_back(n);
  }
  return out;
}

// A user's mailbox, while its row is locked by this transaction.
struct Mailbox {
  std::int64_t next = 0;  // the number of its next notification
  Preferences preferences;
  bool has_endpoints = false;
};

using Mailboxes = std::map<std::string, Mailbox>;    // by user
using Counts = std::map<std::string, std::int64_t>;  // new notifications, by user

// Counts mailboxes up and adds those that the statement returns.
void CountUp(Transaction& transaction, const Statement& statement, const Counts& counts, Mailboxes& mailboxes) {
  std::vector<std::string> users;
  std::vector<std::int64_t> more;
  for (const auto& [user, count] : counts) {
    users.push_back(user);
    more.push_back(count);
  }
  for (const auto& row : transaction.Run(statement, Array(users), Array(more))) {
    const std::string user = row[0].c_str();
    mailboxes[user] = {.next = row[1].as<std::int64_t>() - counts.at(user) + 1,
                       .preferences = PreferencesFrom(row[2], row[3], row[4]),
                       .has_endpoints = row[5].as<int>() > 0};
  }
}

// Gives each notification its number in its user's list, its words and its channels.
Mailboxes Address(Transaction& transaction, Care care, std::vector<Notification>& notifications) {
  Counts counts;
  for (const Notification& n : notifications) ++counts[n.user_id];
  Mailboxes mailboxes;
  if (care == Care::kHope) {
    CountUp(transaction, kCountKnown, counts, mailboxes);
    std::erase_if(counts, [&](const auto& count) { return mailboxes.contains(count.first); });
  }
  if (!counts.empty()) CountUp(transaction, kCount, counts, mailboxes);
  for (Notification& n : notifications) {
    Mailbox& mailbox = mailboxes.at(n.user_id);
    n.sequence = mailbox.next++;
    n.text = Render(n.type, mailbox.preferences.language, n.values);
    n.channels = ChannelsFor(mailbox.preferences, n.type);
  }
  return mailboxes;
}

postgres::Parameter Sequences(const std::vector<Notification>& notifications) {
  return Array(Numbers(notifications, [](const Notification& n) { return n.sequence; }));
}

void Write(Transaction& transaction, const std::vector<Notification>& notifications) {
  const auto times = Numbers(notifications, [](const Notification& n) { return absl::ToUnixMicros(n.occurred_at); });
  const auto channels = Numbers(notifications, [](const Notification& n) { return std::int64_t{n.channels}; });
  transaction.Defer(kWrite, Array(Column(notifications, &Notification::user_id)), Sequences(notifications),
                    Array(Column(notifications, &Notification::event_id)),
                    Array(Column(notifications, &Notification::type)),
                    Array(Column(notifications, &Notification::order_id)),
                    Array(Column(notifications, &Notification::text)), Array(times), Array(channels));
}

// Few users have webhooks, so most batches cost nothing here.
bool Deliver(Transaction& transaction, const std::vector<Notification>& notifications, const Mailboxes& mailboxes) {
  std::vector<Notification> wanted;
  for (const Notification& n : notifications) {
    if ((n.channels & kWebhook) != 0 && mailboxes.at(n.user_id).has_endpoints) wanted.push_back(n);
  }
  if (wanted.empty()) return false;
  transaction.Defer(kDeliver, Array(Column(wanted, &Notification::user_id)), Sequences(wanted),
                    Array(Column(wanted, &Notification::type)));
  return true;
}

void Tell(Transaction& transaction, const Mailboxes& mailboxes, const std::string& origin) {
  std::vector<std::string> payloads;
  std::size_t count = 0;
  for (const auto& [user, mailbox] : mailboxes) {
    if (count++ % kUsersAPayload == 0) payloads.push_back(origin);
    absl::StrAppend(&payloads.back(), payloads.back().empty() ? "" : " ", user, "/", mailbox.next - 1);
  }
  transaction.Defer(kTell, kChannel, Array(payloads));
}

std::int64_t Bury(Transaction& transaction, const std::vector<DeadLetter>& letters) {
  const auto times = Numbers(letters, [](const DeadLetter& l) { return absl::ToUnixMicros(l.occurred_at); });
  const postgres::Rows rows = transaction.Run(
      kBury, Array(Column(letters, &DeadLetter::event_id)), Array(Column(letters, &DeadLetter::stream_id)),
      Array(Column(letters, &DeadLetter::type)), postgres::ByteArray(Column(letters, &DeadLetter::data)),
      Array(Column(letters, &DeadLetter::reason)), Array(Column(letters, &DeadLetter::source)),
      Array(Numbers(letters, [](const DeadLetter& l) { return l.sequence; })), Array(times));
  return static_cast<std::int64_t>(rows.affected_rows());
}

}  // namespace

Applied Apply(Transaction& transaction, Care care, const Batch& batch, const std::string& origin) {
  Applied applied;
  if (!batch.notifications.empty()) {
    std::vector<Notification> fresh = Fresh(transaction, care, batch.notifications);
    if (!fresh.empty()) {
      const Mailboxes mailboxes = Address(transaction, care, fresh);
      Write(transaction, fresh);
      applied.deliveries = Deliver(transaction, fresh, mailboxes);
      Tell(transaction, mailboxes, origin);
    }
    applied.stored = std::move(fresh);
  }
  if (!batch.dead_letters.empty()) applied.dead_letters = Bury(transaction, batch.dead_letters);
  return applied;
}

}  // namespace flotilla::notify
