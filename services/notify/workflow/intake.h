// From events to notifications.
#pragma once

#include <span>

#include "absl/status/status.h"
#include "events/log.h"
#include "notify/domain/notification.h"
#include "notify/store/notification_store.h"
#include "prometheus/counter.h"

namespace flotilla::notify {

// What the events come to. An event that cannot be read becomes a dead letter: it would be no better the next time.
Batch Decode(std::span<const events::Event> events);

// The handler of order events. One thread at a time.
class Intake {
 public:
  explicit Intake(postgres::Options options);
  // OK: every event's effect is stored, exactly once however often it comes.
  absl::Status Apply(std::span<const events::Event> events);

 private:
  NotificationStore store_;
  prometheus::Counter& notifications_;
  prometheus::Counter& repeats_;
  prometheus::Counter& dead_letters_;
};

}  // namespace flotilla::notify
