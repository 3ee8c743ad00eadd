// Token buckets for very many keys in a fixed amount of memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "async/steady_time.h"

namespace flotilla::guard {

// `per_second` tokens flow in, `burst` at most are kept.
struct Rate {
  double per_second = 0;
  double burst = 0;
};

// Kept as the generic cell rate algorithm does (ITU-T I.371): one time a bucket instead of tokens and a clock. A bucket
// that is full again is the same as none, so its place is free; where all places of a key's row are in use the one that
// is nearest to full gives way, and its key may have up to a burst too much. Thread-safe.
class TokenBuckets {
 public:
  explicit TokenBuckets(std::size_t places = 1 << 16);  // 16 bytes each; rounded up to a power of two

  // Zero where a token was taken, else how long until there is one. `key`: a good hash.
  absl::Duration Take(std::uint64_t key, const Rate& rate, async::SteadyTime now);
  // The same without taking it.
  absl::Duration Wait(std::uint64_t key, const Rate& rate, async::SteadyTime now) const;

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kLocks = 64;
  struct Place {
    std::uint64_t key = 0;
    std::int64_t full_at_ns = 0;  // when the bucket will be full again
  };
  using Row = std::array<Place, kWays>;
  std::size_t RowOf(std::uint64_t key) const { return key & (rows_.size() - 1); }

  std::vector<Row> rows_;
  std::unique_ptr<std::array<std::mutex, kLocks>> locks_;  // of rows, by their number
};

}  // namespace flotilla::guard
