// Applies one service's events.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "events/log.h"
#include "notify/store/notification_store.h"
#include "notify/store/origin.h"
#include "prometheus/counter.h"

namespace flotilla::notify {

// Called after a commit: with what it added to lists, and where it left something to send to webhooks; or where its
// outcome is not known, as lists may have grown that nobody will be told of again.
struct IntakeListeners {
  std::function<void(std::vector<Notification> stored)> stored = [](const auto&) {};
  std::function<void()> deliveries = [] {};
  std::function<void()> in_doubt = [] {};
};

// The handler of the events of the service `source`. One thread at a time.
class Intake {
 public:
  Intake(postgres::Options options, std::string source, const Origin& origin, IntakeListeners listeners = {});
  // OK: every event's effect is stored, exactly once however often it comes.
  absl::Status Apply(std::span<const events::Event> events);
  // Gives the event up. OK: it is a dead letter, or has been handled all the same.
  absl::Status Bury(const events::Event& event, const absl::Status& reason);

 private:
  absl::Status Store(const Batch& batch);

  NotificationStore store_;
  const std::string source_;
  const Origin& origin_;
  const IntakeListeners listeners_;
  prometheus::Counter& notifications_;
  prometheus::Counter& repeats_;
  prometheus::Counter& dead_letters_;
};

}  // namespace flotilla::notify
