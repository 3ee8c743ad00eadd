// The load: buyers that place, repeat, read, cancel and have refunded orders at random, paid from wallets or through
// the provider, and ask again whenever they get no answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fleet/fleet.h"
#include "soak/faults.h"

namespace flotilla::soak {

class Buyers {
 public:
  // What each buyer does follows from the seed and its number.
  Buyers(World& world, int count, std::uint64_t seed);
  ~Buyers() { Stop(); }
  void Stop();

  struct Counts {
    std::int64_t paid, cancelled, external, refunded, refused, unknown;
  };
  Counts counts() const { return {paid_, cancelled_, external_, refunded_, refused_, unknown_}; }

 private:
  void Live(int number, std::uint64_t seed);
  // Sends until there is an answer, to one instance after another; false where it is a refusal or the run ends first.
  using Send = std::function<fleet::Result(order::v1::OrderService::Stub&)>;
  bool Answered(std::mt19937_64& random, const Send& send, fleet::Result& result);
  // What the provider says of a payment: that it came, with all it should not say; that it failed; nothing.
  void Pay(std::mt19937_64& random, const order::v1::Order& order);

  const World& world_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> paid_ = 0, cancelled_ = 0, external_ = 0, refunded_ = 0, refused_ = 0, unknown_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace flotilla::soak
