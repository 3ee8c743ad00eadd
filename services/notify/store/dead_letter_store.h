// Events that could not be applied. One method is one transaction. Blocking and single-threaded. Errors: see
// Session::Transact.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/notification.h"
#include "notify/store/apply.h"
#include "postgres/session.h"

namespace flotilla::notify {

class DeadLetterStore {
 public:
  explicit DeadLetterStore(postgres::Options options) : session_(std::move(options)) {}

  struct Query {
    absl::Time after = absl::UnixEpoch();  // buried_at and event id of the last one seen
    std::string after_id = {};
    int limit = 0;
  };
  // Oldest first.
  absl::StatusOr<std::vector<DeadLetter>> List(const Query& query);
  absl::StatusOr<std::optional<DeadLetter>> Find(const std::string& event_id);

  // The letter's event is no longer handled, then `batch`, what it comes to now, is applied: one transaction, so of
  // several callers one has the effect. False where there is no such letter (any more).
  absl::StatusOr<bool> Redeliver(const std::string& event_id, const Batch& batch);
  // The letter goes; its event stays handled. False where there is no such letter (any more).
  absl::StatusOr<bool> Discard(const std::string& event_id);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::notify
