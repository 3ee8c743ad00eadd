// Notifications in PostgreSQL. One method is one transaction over a whole batch. Blocking and single-threaded: one
// object a thread; any number of them may work on one database. Errors: see Session::Transact.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/notification.h"
#include "postgres/session.h"

namespace flotilla::notify {

// The channel on which Apply tells whose lists have grown: user ids, separated by spaces, sent with the commit.
inline constexpr char kChannel[] = "notification";

class NotificationStore {
 public:
  explicit NotificationStore(postgres::Options options) : session_(std::move(options)) {}

  struct Applied {
    std::int64_t notifications = 0;
    std::int64_t dead_letters = 0;
  };
  // Stores what comes from events that were not handled before, and the events as handled. Ids and texts are free of
  // NUL and valid UTF-8; users are names (see validation.h). What the batch repeats counts once.
  absl::StatusOr<Applied> Apply(const Batch& batch);

  struct Query {
    std::string user_id;
    std::int64_t after = 0;  // sequence
    int limit = 0;
  };
  // One list a query, oldest first.
  absl::StatusOr<std::vector<std::vector<Notification>>> Read(std::span<const Query> queries);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::notify
