// The word under which this process tells the others whose lists have grown (see apply.h). It leaves out what it hears
// of itself: its own subscribers have that already. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace flotilla::notify {

class Origin {
 public:
  std::string word() const { return absl::StrCat(process_, "-", number_.load()); }
  bool Is(std::string_view word) const { return word == this->word(); }
  // After a commit of unknown outcome: what was told with it counts as others' from now on.
  void Renew() { ++number_; }

 private:
  const std::string process_ = absl::StrCat(absl::Hex(std::random_device{}()), absl::Hex(std::random_device{}()));
  std::atomic<std::uint64_t> number_ = 0;
};

}  // namespace flotilla::notify
