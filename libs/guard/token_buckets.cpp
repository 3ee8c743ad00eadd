#include "guard/token_buckets.h"

#include <algorithm>
#include <bit>

namespace flotilla::guard {
namespace {

std::int64_t TokenNanos(const Rate& rate) { return static_cast<std::int64_t>(1e9 / rate.per_second); }

// Until a bucket that is full again at `full_at_ns` has a token.
absl::Duration UntilNext(std::int64_t full_at_ns, const Rate& rate, std::int64_t now_ns) {
  const auto burst_ns = static_cast<std::int64_t>(1e9 / rate.per_second * rate.burst);
  return absl::Nanoseconds(
      std::max<std::int64_t>(0, std::max(full_at_ns, now_ns) + TokenNanos(rate) - burst_ns - now_ns));
}

std::int64_t Nanos(async::SteadyTime time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

}  // namespace

TokenBuckets::TokenBuckets(std::size_t places)
    : rows_(std::bit_ceil(std::max(places, kWays)) / kWays),
      locks_(std::make_unique<std::array<std::mutex, kLocks>>()) {}

absl::Duration TokenBuckets::Take(std::uint64_t key, const Rate& rate, async::SteadyTime now) {
  const std::int64_t now_ns = Nanos(now);
  const std::size_t number = RowOf(key);
  Row& row = rows_[number];
  std::lock_guard lock((*locks_)[number % kLocks]);
  auto place = std::find_if(row.begin(), row.end(), [&](const Place& each) { return each.key == key; });
  if (place == row.end()) {
    place = std::min_element(row.begin(), row.end(),
                             [](const Place& a, const Place& b) { return a.full_at_ns < b.full_at_ns; });
    *place = {key, now_ns};
  }
  const absl::Duration wait = UntilNext(place->full_at_ns, rate, now_ns);
  if (wait == absl::ZeroDuration()) place->full_at_ns = std::max(place->full_at_ns, now_ns) + TokenNanos(rate);
  return wait;
}

absl::Duration TokenBuckets::Wait(std::uint64_t key, const Rate& rate, async::SteadyTime now) const {
  const std::size_t number = RowOf(key);
  const Row& row = rows_[number];
  std::lock_guard lock((*locks_)[number % kLocks]);
  const auto place = std::find_if(row.begin(), row.end(), [&](const Place& each) { return each.key == key; });
  return place == row.end() ? absl::ZeroDuration() : UntilNext(place->full_at_ns, rate, Nanos(now));
}

}  // namespace flotilla::guard
