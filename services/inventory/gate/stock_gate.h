// The gate in Redis: stock as far as it is known there, so that "sold out" costs microseconds. SQL stays the truth;
// what the gate lets through is decided there once more. Blocking. Errors: UNAVAILABLE where Redis does not answer.
//
// Keys, one hash tag a SKU so that the scripts run on a cluster: flotilla:stock:{<sku>} holds the units, and
// flotilla:hold:{<sku>}:<order id> the units one order took, until some time after its hold has ended.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "inventory/domain/stock.h"
#include "redis/client.h"

namespace flotilla::inventory {

struct TakeResult {
  enum class Kind { kTaken, kRefused, kMissing } kind = Kind::kTaken;
  std::string sku;                   // kRefused: the one that was short
  std::vector<std::string> missing;  // kMissing: SKUs the gate does not know
  std::vector<std::string> taken;    // kTaken: SKUs whose units were taken by this call, not by an earlier one
};

class StockGate {
 public:
  explicit StockGate(redis::Options options) : client_(std::move(options)) {}

  // All lines of a command or none. Idempotent by order id: the order's own mark is looked for before the stock.
  absl::StatusOr<std::vector<TakeResult>> Take(std::span<const ReserveCommand> commands);
  // Gives back what the orders took of these SKUs, by their marks; once.
  absl::Status Give(std::span<const Returned> returned);
  // Sets stock the gate does not know; what it knows stays.
  absl::Status Load(std::span<const std::pair<std::string, std::int64_t>> stock);
  // Lowers the gate where it promises more than there is.
  absl::Status LowerTo(std::span<const std::pair<std::string, std::int64_t>> stock);
  // Adds (or takes) units where the gate knows the SKU.
  absl::Status Add(const std::string& sku, std::int64_t delta);

  // What the gate believes; nothing where it does not know the SKU.
  absl::StatusOr<std::vector<std::optional<std::int64_t>>> Read(std::span<const std::string> skus);
  // Replaces `expected` by `stock`; not where it has moved meanwhile.
  struct Correction {
    std::string sku;
    std::int64_t expected = 0, stock = 0;
  };
  absl::Status Correct(std::span<const Correction> corrections);

 private:
  absl::Status Run(const redis::Script& script, std::span<const redis::Client::Invocation> invocations);

  redis::Client client_;
};

}  // namespace flotilla::inventory
