// What users are told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::notify {

struct Notification {
  std::string user_id;
  std::int64_t sequence = 0;  // within the user's list, from 1 without gaps; given by the store
  std::string event_id;
  std::string type;      // the event's, for example "order.paid"
  std::string order_id;  // UUID, lower case
  std::string text;
  absl::Time occurred_at;  // microseconds
};

// An event that cannot become a notification, kept for an operator.
struct DeadLetter {
  std::string event_id;
  std::string stream_id;
  std::string type;
  std::string data;
  std::string reason;
};

// What some events come to.
struct Batch {
  std::vector<Notification> notifications;  // in order of arrival
  std::vector<DeadLetter> dead_letters;
};

// One line for people. `cancel_reason` may be empty. A type that is not known yet gets a general line.
std::string TextOf(std::string_view type, std::string_view order_id, std::string_view cancel_reason);

}  // namespace flotilla::notify
