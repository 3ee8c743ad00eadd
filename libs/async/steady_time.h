// Time for waits, pauses and ages within a process, by a clock that nobody sets. Calendar time (absl::Time) is for what
// people and other machines read.
#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace flotilla::async {

using SteadyTime = std::chrono::steady_clock::time_point;

inline constexpr SteadyTime kNever = SteadyTime::max();

inline SteadyTime SteadyNow() { return std::chrono::steady_clock::now(); }

// `duration` after `start`, or never where that is more than a century.
inline SteadyTime After(absl::Duration duration, SteadyTime start = SteadyNow()) {
  if (duration > absl::Hours(24 * 36525)) return kNever;
  return start + absl::ToChronoNanoseconds(duration);
}

// How long from now; negative where it has passed.
inline absl::Duration Until(SteadyTime when) {
  return when == kNever ? absl::InfiniteDuration() : absl::FromChrono(when - SteadyNow());
}

}  // namespace flotilla::async
