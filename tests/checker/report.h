// What the checker found, promise by promise.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace flotilla::checker {

// The fleet's promises I1 to I8; the number is the promise's.
enum class Promise : int {
  kStock = 1,
  kLedger,
  kAcknowledged,
  kEvents,
  kOnce,
  kSettled,
  kSagas,
  kHistory,
};
inline constexpr int kPromises = 8;

class Report {
 public:
  // All are counted, the first ten are kept.
  void Violate(Promise promise, std::string what);
  // Worth knowing, but no violation.
  void Note(Promise promise, std::string what);
  // Nothing was judged, for want of `missing`.
  void Skip(Promise promise, std::string missing);
  // What a kept promise was judged by; several are listed.
  void Judged(Promise promise, std::int64_t count, const std::string& what);

  bool ok() const;  // no violation
  bool violated(Promise promise) const { return at(promise).violations > 0; }
  bool skipped(Promise promise) const { return !at(promise).missing.empty(); }

  // One line a promise, and its notes.
  std::string ToString() const;

 private:
  struct Finding {
    std::int64_t violations = 0;
    std::vector<std::string> first;
    std::vector<std::string> notes;
    std::string missing;
    std::string judged;
  };
  const Finding& at(Promise promise) const { return findings_[static_cast<std::size_t>(promise) - 1]; }
  Finding& at(Promise promise) { return findings_[static_cast<std::size_t>(promise) - 1]; }

  std::array<Finding, kPromises> findings_;
};

// 1234567 -> "1,234,567".
std::string WithCommas(std::int64_t number);

}  // namespace flotilla::checker
