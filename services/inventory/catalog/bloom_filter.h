// A set of texts that may answer "perhaps" for one that was never added (about 1 in 100 at its capacity), but never
// "no" for one that was. Lock-free; Add may run beside everything else.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace flotilla::inventory {

class BloomFilter {
 public:
  explicit BloomFilter(std::size_t capacity);  // texts
  void Add(std::string_view text);
  bool MayContain(std::string_view text) const;
  std::size_t capacity() const { return capacity_; }
  // How many calls of Add changed something: the texts in it, but for those that looked like "perhaps" before.
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  const std::size_t capacity_;
  const std::uint64_t mask_;  // of a bit's number
  const std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
  std::atomic<std::size_t> size_ = 0;
};

}  // namespace flotilla::inventory
