// Waiting for what another thread or process will do.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace flotilla {

// True as soon as `condition()` is; false where it still is not after `limit`, which is generous: tests run on busy
// machines.
template <class Condition>
bool Eventually(Condition condition, absl::Duration limit = absl::Seconds(20)) {
  for (const absl::Time end = absl::Now() + limit; absl::Now() < end; absl::SleepFor(absl::Milliseconds(5))) {
    if (condition()) return true;
  }
  return condition();
}

}  // namespace flotilla
