// What follows in users' lists, for subscribers: reads gather while a statement is in flight and go together in the
// next one. Only on an executor's thread; resumes there. Errors as in notification_store.h, and RESOURCE_EXHAUSTED
// where the queue is full.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "batch/worker_batcher.h"
#include "notify/store/notification_store.h"

namespace flotilla::notify {

class Inbox {
 public:
  using Reply = async::Task<absl::StatusOr<std::vector<Notification>>>;
  static constexpr int kTailLimit = 100;

  explicit Inbox(const postgres::Options& options);
  // What follows `after` in the user's list, at most kTailLimit.
  Reply Tail(std::string user_id, std::int64_t after) {
    return tails_.Call({.user_id = std::move(user_id), .after = after, .limit = kTailLimit});
  }

 private:
  batch::WorkerBatcher<NotificationStore::Query, std::vector<Notification>> tails_;
};

}  // namespace flotilla::notify
