// Applies one service's events.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "events/log.h"
#include "notify/store/notification_store.h"
#include "prometheus/counter.h"

namespace flotilla::notify {

// The handler of the events of the service `source`. One thread at a time.
class Intake {
 public:
  // `deliveries` is called after a commit that left something to send to webhooks.
  Intake(postgres::Options options, std::string source, std::function<void()> deliveries = [] {});
  // OK: every event's effect is stored, exactly once however often it comes.
  absl::Status Apply(std::span<const events::Event> events);
  // Gives the event up. OK: it is a dead letter, or has been handled all the same.
  absl::Status Bury(const events::Event& event, const absl::Status& reason);

 private:
  absl::StatusOr<Applied> Store(const Batch& batch);

  NotificationStore store_;
  const std::string source_;
  const std::function<void()> deliveries_;
  prometheus::Counter& notifications_;
  prometheus::Counter& repeats_;
  prometheus::Counter& dead_letters_;
};

}  // namespace flotilla::notify
