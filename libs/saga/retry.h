// When a step's attempt is made again.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace flotilla::saga {

struct RetryPolicy {
  absl::Duration initial = absl::Milliseconds(20);
  double factor = 2;
  absl::Duration max = absl::Seconds(5);
  // Then PARKED. Waits are uniform between 0 and the exponential delay, so 1,500 attempts that fail at once span about
  // an hour: an outage of three quarters of it parks nothing, and is seen meanwhile by the age of the oldest saga.
  int max_attempts = 1500;
  // Of a step that may not be refused (a compensation, one past the pivot): so many refusals, then PARKED. Time mends
  // these seldom, so an operator is asked after two minutes.
  int max_refusals = 50;
};

// UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, UNKNOWN, RESOURCE_EXHAUSTED, CANCELLED, INTERNAL, UNIMPLEMENTED,
// UNAUTHENTICATED, PERMISSION_DENIED; anything else is a refusal.
bool Retryable(const absl::Status& status);

// The most that is waited after the attempt, counted from 1.
absl::Duration LongestWait(const RetryPolicy& policy, int attempt);

// The wait itself, with full jitter: sagas that one outage has stopped do not come back in step.
absl::Duration Backoff(const RetryPolicy& policy, int attempt);

}  // namespace flotilla::saga
