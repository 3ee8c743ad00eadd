// Current prices, at most two seconds old, for those who only look: a reservation fixes its price in SQL.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "inventory/catalog/single_flight.h"
#include "inventory/catalog/sku_reader.h"

namespace flotilla::inventory {

struct Price {
  std::int64_t amount = 0;  // minor units
  std::string currency;
};

class PriceCache {
 public:
  // `reader` outlives it.
  explicit PriceCache(SkuReader& reader) : reader_(reader) {}
  // By SKU; nothing for those that do not exist. Only on an executor's thread; resumes there.
  using Prices = std::map<std::string, std::optional<Price>>;
  async::Task<absl::StatusOr<Prices>> Get(std::vector<std::string> skus);

 private:
  struct Entry {
    std::optional<Price> price;
    async::SteadyTime expires_at;
  };
  // Moves what is fresh to `prices` and leaves the rest in `skus`.
  void TakeFresh(std::vector<std::string>& skus, Prices& prices);
  void Store(const std::vector<std::string>& skus, const std::map<std::string, Sku>& found, async::SteadyTime asked_at);

  SkuReader& reader_;
  SingleFlight loading_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace flotilla::inventory
