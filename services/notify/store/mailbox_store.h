// A user's mailbox: reading, marking, wishes. One method is one transaction. Blocking and single-threaded. Errors: see
// Session::Transact.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/notification.h"
#include "postgres/session.h"

namespace flotilla::notify {

class MailboxStore {
 public:
  // Counting stops here, so that a mailbox nobody reads costs no more than that.
  static constexpr int kMaxUnread = 10'000;

  explicit MailboxStore(postgres::Options options) : session_(std::move(options)) {}

  struct Query {
    std::string user_id;
    std::int64_t after = 0;  // sequence
    int limit = 0;
    std::vector<std::string> types = {};  // empty: all
    bool unread_only = false;
  };
  // What is in the mailbox, oldest first; what is muted there is left out.
  absl::StatusOr<std::vector<Notification>> List(const Query& query);

  struct Summary {
    std::int64_t last_sequence = 0;
    int unread = 0;  // at most kMaxUnread
  };
  // A user of whom nothing is known has an empty mailbox.
  absl::StatusOr<Summary> Summarize(const std::string& user_id);
  // Marks everything up to `through` (beyond the end: everything there is) and the sequences given. Idempotent.
  absl::StatusOr<Summary> MarkRead(const std::string& user_id, std::int64_t through,
                                   const std::vector<std::int64_t>& sequences);

  absl::StatusOr<Preferences> ReadPreferences(const std::string& user_id);
  // Count for notifications that are made from now on.
  absl::Status WritePreferences(const std::string& user_id, const Preferences& preferences);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::notify
