// SKUs of which the gate has just said that nothing is left: while a flag stands, the stock need not be asked for
// again. A flag falls when stock comes back through this process, and by itself after about 0.1 s, so stock that comes
// back elsewhere is offered that much later here. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "async/steady_time.h"

namespace flotilla::inventory {

class SoldOut {
 public:
  bool Has(const std::string& sku, async::SteadyTime now);
  // How often flags were cleared so far. Taken before the gate is asked and handed to Set, it keeps an answer that was
  // overtaken by returning stock from raising the flag.
  std::uint64_t clears() const;
  void Set(const std::string& sku, async::SteadyTime now, std::uint64_t clears);
  void Clear(const std::string& sku);

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, async::SteadyTime> until_;
  std::uint64_t clears_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace flotilla::inventory
