#include "notify/store/dead_letter_store.h"

#include "notify/store/rows.h"

namespace flotilla::notify {
namespace {

using postgres::Statement;
using postgres::Transaction;

#define DEAD_LETTER_COLUMNS                                                                                         \
  "event_id, source, stream_id, sequence, type, data, reason, (extract(epoch FROM occurred_at) * 1000000)::bigint," \
  " (extract(epoch FROM created_at) * 1000000)::bigint"

const Statement kList = {"dead_letters", "SELECT " DEAD_LETTER_COLUMNS R"( FROM dead_letter
    WHERE (created_at, event_id) > (timestamptz 'epoch' + $1::bigint * interval '1 microsecond', $2)
    ORDER BY created_at, event_id LIMIT $3::int)"};
const Statement kFind = {"dead_letter", "SELECT " DEAD_LETTER_COLUMNS " FROM dead_letter WHERE event_id = $1"};
const Statement kRemove = {"dead_letter_remove", "DELETE FROM dead_letter WHERE event_id = $1"};
const Statement kForget = {"dead_letter_forget", "DELETE FROM handled_event WHERE event_id = $1"};

DeadLetter LetterFrom(const postgres::Row& row) {
  return {.event_id = row[0].c_str(),
          .source = row[1].c_str(),
          .stream_id = row[2].c_str(),
          .sequence = row[3].as<std::int64_t>(),
          .type = row[4].c_str(),
          .data = postgres::FromBytes(row[5].c_str()),
          .reason = row[6].c_str(),
          .occurred_at = absl::FromUnixMicros(row[7].as<std::int64_t>()),
          .buried_at = absl::FromUnixMicros(row[8].as<std::int64_t>())};
}

}  // namespace

absl::StatusOr<std::vector<DeadLetter>> DeadLetterStore::List(const Query& query) {
  std::vector<DeadLetter> letters;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    letters.clear();
    for (const auto& row : transaction.Run(kList, absl::ToUnixMicros(query.after), query.after_id, query.limit)) {
      letters.push_back(LetterFrom(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return letters;
}

absl::StatusOr<std::optional<DeadLetter>> DeadLetterStore::Find(const std::string& event_id) {
  std::optional<DeadLetter> letter;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const postgres::Rows rows = transaction.Run(kFind, event_id);
    letter = rows.empty() ? std::nullopt : std::optional(LetterFrom(rows[0]));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return letter;
}

absl::StatusOr<bool> DeadLetterStore::Redeliver(const std::string& event_id, const Batch& batch) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    found = transaction.Run(kRemove, event_id).affected_rows() > 0;
    if (!found) return absl::OkStatus();
    transaction.Run(kForget, event_id);
    Apply(transaction, postgres::Care::kLook, batch);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<bool> DeadLetterStore::Discard(const std::string& event_id) {
  bool found = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    found = transaction.Run(kRemove, event_id).affected_rows() > 0;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

}  // namespace flotilla::notify
