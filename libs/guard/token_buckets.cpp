#include "guard/token_buckets.h"

#include <algorithm>
#include <bit>

namespace flotilla::guard {

TokenBuckets::TokenBuckets(std::size_t places)
    : rows_(std::bit_ceil(std::max(places, kWays)) / kWays),
      locks_(std::make_unique<std::array<std::mutex, kLocks>>()) {}

absl::Duration TokenBuckets::Take(std::uint64_t key, const Rate& rate, async::SteadyTime now) {
  const std::int64_t now_ns = std::chrono::nanoseconds(now.time_since_epoch()).count();
  const auto token_ns = static_cast<std::int64_t>(1e9 / rate.per_second);
  const auto burst_ns = static_cast<std::int64_t>(1e9 / rate.per_second * rate.burst);
  const std::size_t number = key & (rows_.size() - 1);
  Row& row = rows_[number];
  std::lock_guard lock((*locks_)[number % kLocks]);
  auto place = std::find_if(row.begin(), row.end(), [&](const Place& each) { return each.key == key; });
  if (place == row.end()) {
    place = std::min_element(row.begin(), row.end(),
                             [](const Place& a, const Place& b) { return a.full_at_ns < b.full_at_ns; });
    *place = {key, now_ns};
  }
  const std::int64_t full_at = std::max(place->full_at_ns, now_ns) + token_ns;
  if (full_at > now_ns + burst_ns) return absl::Nanoseconds(full_at - now_ns - burst_ns);
  place->full_at_ns = full_at;
  return absl::ZeroDuration();
}

}  // namespace flotilla::guard
