// A user's webhooks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "notify/domain/notification.h"

namespace flotilla::notify {

struct Endpoint {
  std::string endpoint_id;  // UUID
  std::string user_id;
  std::string url;
  std::string secret;                    // bytes
  std::string previous_secret = {};      // still signs as well; empty: none
  std::vector<std::string> event_types;  // empty: all
  bool enabled = true;
  std::string disabled_reason;
  absl::Time created_at;
};

enum class DeliveryState { kPending = 1, kDelivered = 2, kFailed = 3 };

// How a delivery is tried again.
struct RetryPolicy {
  absl::Duration first = absl::Seconds(5);  // doubles with each attempt
  absl::Duration longest = absl::Hours(1);
  int attempts = 16;  // then it has failed, and its endpoint is disabled: some six hours

  // The wait after attempt number `attempt`, from 1, without jitter.
  absl::Duration After(int attempt) const {
    absl::Duration wait = first;
    for (int i = 1; i < attempt && wait < longest; ++i) wait *= 2;
    return wait < longest ? wait : longest;
  }
};

// One attempt that is to be made.
struct Attempt {
  std::int64_t delivery_id = 0;
  int number = 0;         // from 1; fences it
  absl::Time claimed_at;  // by the database: receivers judge it, so a wrong machine clock must not show in it
  Endpoint endpoint;
  Notification notification;
};

// How an attempt went.
struct Outcome {
  int http_status = 0;  // 0: no answer
  std::string error;
  absl::Duration duration;
  bool ok() const { return http_status >= 200 && http_status < 300; }
};

// A line of the delivery log.
struct Delivery {
  std::int64_t delivery_id = 0;
  std::string event_id;
  std::string type;
  DeliveryState state = DeliveryState::kPending;
  int attempts = 0;
  Outcome last;  // nothing where there was no attempt yet
  absl::Time created_at;
  absl::Time next_at;  // of a pending one
};

}  // namespace flotilla::notify
