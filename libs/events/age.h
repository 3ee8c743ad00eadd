// How old events are at the stages of their way: from their own time, by the clock of another machine, to now. What is
// published again counts with its whole age.
#pragma once

#include <span>

#include "absl/time/clock.h"
#include "events/log.h"
#include "prometheus/histogram.h"
#include "telemetry/metrics.h"

namespace flotilla::events {

class Age {
 public:
  // read and published by the relay, received and applied by a consumer, streamed to a subscriber.
  explicit Age(const char* stage)
      : seconds_(telemetry::Latency("flotilla_event_age_seconds", "Age of events at a stage of their way.",
                                    {{"stage", stage}})) {}

  void Observe(absl::Time occurred_at, absl::Time now = absl::Now()) {
    seconds_.Observe(absl::ToDoubleSeconds(now - occurred_at));
  }
  void Observe(std::span<const Event> events) {
    const absl::Time now = absl::Now();
    for (const Event& event : events) Observe(event.occurred_at, now);
  }

 private:
  prometheus::Histogram& seconds_;
};

}  // namespace flotilla::events
