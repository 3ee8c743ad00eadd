#include "inventory/catalog/bloom_filter.h"

#include <algorithm>
#include <bit>

#include "absl/hash/hash.h"

namespace flotilla::inventory {
namespace {

constexpr int kHashes = 7;
constexpr std::size_t kBitsPerText = 10;

// Double hashing: two halves of the work for seven bits. The step is odd, so that it visits all of a power of two.
struct Probe {
  explicit Probe(std::string_view text) : bit(absl::HashOf(text)), step(absl::HashOf(text, 1) | 1) {}
  std::uint64_t bit, step;
};

}  // namespace

BloomFilter::BloomFilter(std::size_t capacity)
    : capacity_(capacity),
      mask_(std::bit_ceil(std::max<std::size_t>(capacity, 1000) * kBitsPerText) - 1),
      words_(new std::atomic<std::uint64_t>[(mask_ + 1) / 64]()) {}

void BloomFilter::Add(std::string_view text) {
  bool changed = false;
  Probe probe(text);
  for (int i = 0; i < kHashes; ++i, probe.bit += probe.step) {
    const std::uint64_t index = probe.bit & mask_, flag = std::uint64_t{1} << (index % 64);
    changed |= (words_[index / 64].fetch_or(flag, std::memory_order_relaxed) & flag) == 0;
  }
  if (changed) size_.fetch_add(1, std::memory_order_relaxed);
}

bool BloomFilter::MayContain(std::string_view text) const {
  Probe probe(text);
  for (int i = 0; i < kHashes; ++i, probe.bit += probe.step) {
    const std::uint64_t index = probe.bit & mask_;
    if ((words_[index / 64].load(std::memory_order_relaxed) >> (index % 64) & 1) == 0) return false;
  }
  return true;
}

}  // namespace flotilla::inventory
