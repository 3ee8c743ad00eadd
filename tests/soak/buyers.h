// The load: buyers that place, repeat, read and cancel orders at random, and ask again whenever they get no answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fleet/fleet.h"

namespace flotilla::soak {

class Buyers {
 public:
  // The orders are sent to these instances. What each buyer does follows from the seed and its number.
  Buyers(fleet::Fleet& fleet, std::vector<std::string> instances, int count, std::uint64_t seed);
  ~Buyers() { Stop(); }
  void Stop();

  struct Counts {
    std::int64_t paid, cancelled, refused, unknown;
  };
  Counts counts() const { return {paid_, cancelled_, refused_, unknown_}; }

 private:
  void Live(int number, std::uint64_t seed);
  // Sends until there is an answer, to one instance after another; false where the run ends first.
  bool Buy(std::mt19937_64& random, const std::string& user, const std::string& key, fleet::Result& result);

  fleet::Fleet& fleet_;
  const std::vector<std::string> instances_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> paid_ = 0, cancelled_ = 0, refused_ = 0, unknown_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace flotilla::soak
