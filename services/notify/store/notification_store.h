// Notifications in PostgreSQL: what the many users' traffic needs. One method is one transaction over a whole batch.
// Blocking and single-threaded: one object a thread; any number of them may work on one database. Errors: see
// Session::Transact.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/notification.h"
#include "notify/store/apply.h"
#include "postgres/session.h"

namespace flotilla::notify {

class NotificationStore {
 public:
  explicit NotificationStore(postgres::Options options) : session_(std::move(options)) {}

  // See apply.h.
  absl::StatusOr<Applied> Apply(const Batch& batch, const std::string& origin = "");

  struct Query {
    std::string user_id;
    std::int64_t after = 0;  // sequence
    int limit = 0;
  };
  // One list a query, oldest first, whatever the channels.
  absl::StatusOr<std::vector<std::vector<Notification>>> Read(std::span<const Query> queries);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::notify
