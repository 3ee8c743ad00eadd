// Users' lists for coroutines: reads gather while a statement is in flight and go together in the next one. Only on an
// executor's thread; resumes there. Errors as in notification_store.h, and RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "batch/worker_batcher.h"
#include "notify/store/notification_store.h"

namespace flotilla::notify {

class Inbox {
 public:
  using Query = NotificationStore::Query;
  using Reply = async::Task<absl::StatusOr<std::vector<Notification>>>;
  static constexpr int kTailLimit = 100;

  explicit Inbox(const postgres::Options& options);
  // What follows `after` in the user's list, at most kTailLimit: what subscribers ask for, many at a time.
  Reply Tail(std::string user_id, std::int64_t after) {
    return tails_.Call({.user_id = std::move(user_id), .after = after, .limit = kTailLimit});
  }
  // A page of any size; few at a time, since pages are big.
  Reply List(Query query) { return lists_.Call(std::move(query)); }

 private:
  using Reads = batch::WorkerBatcher<Query, std::vector<Notification>>;
  Reads tails_, lists_;
};

}  // namespace flotilla::notify
