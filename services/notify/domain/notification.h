// What users are told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "notify/domain/preferences.h"
#include "notify/domain/templates.h"

namespace flotilla::notify {

struct Notification {
  std::string user_id;
  std::int64_t sequence = 0;   // within the user's list, from 1 without gaps; given by the store
  std::string event_id;        // see EffectId
  std::string type;            // the event's, for example "order.paid"
  std::string order_id = {};   // UUID, lower case; empty where it speaks of no order
  TemplateValues values = {};  // what the text is made of
  std::string text = {};       // made by the store, in the user's language
  absl::Time occurred_at;      // microseconds
  int channels = kAllChannels;
  bool read = false;
};

// Whose mailbox has what concerns those who run the shop.
inline constexpr char kOperations[] = "operations";

// An event that cannot become a notification, kept for an operator.
struct DeadLetter {
  std::string event_id;  // see EffectId
  std::string source;
  std::string stream_id;
  std::int64_t sequence = 0;
  std::string type;
  std::string data;
  std::string reason;
  absl::Time occurred_at = absl::UnixEpoch();
  absl::Time buried_at = absl::UnixEpoch();  // given by the store
};

// What some events come to.
struct Batch {
  std::vector<Notification> notifications;  // in order of arrival
  std::vector<DeadLetter> dead_letters;
};

// The id under which an event's effect is stored. Event ids are unique within one service's log, `source`; orders'
// stand as they are.
inline std::string EffectId(const std::string& source, const std::string& event_id) {
  return source == "order" ? event_id : source + ":" + event_id;
}

}  // namespace flotilla::notify
