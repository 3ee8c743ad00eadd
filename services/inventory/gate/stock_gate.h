// The gate in Redis: stock as far as it is known there, so that "sold out" costs microseconds. SQL stays the truth;
// what the gate lets through is decided there once more. Blocking. Errors: UNAVAILABLE where Redis does not answer.
//
// Keys, one hash tag a SKU so that the scripts run on a cluster; with several segments {<sku>~1} and so on besides:
//   flotilla:stock:{<sku>}            the units
//   flotilla:hold:{<sku>}:<order id>  the mark of what one order took, until some time after its hold has ended
//   flotilla:users:{<sku>}            units a user took lately, where the SKU has a limit
//   flotilla:young:{<sku>}            the gate learned the SKU while it had orders already: their marks are not here
//
// With several segments a SKU's units lie in keys of different tags. An order begins at its home segment, where its
// mark is looked for first and set last; what that is short of is gathered from the others, in turn, and given back
// where it does not suffice. So it is refused only where all segments together had too few for it; two orders of
// several units each that gather the last ones at the same time may be refused both.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "inventory/domain/hold.h"
#include "inventory/gate/rule_book.h"
#include "inventory/gate/sold_out.h"
#include "redis/client.h"

namespace flotilla::inventory {

struct TakeResult {
  // kUnsure: it would be refused, but the gate may have forgotten that the order was let through before.
  enum class Kind { kTaken, kRefused, kMissing, kUnsure } kind = Kind::kTaken;
  Outcome refusal = Outcome::kOutOfStock;  // kRefused
  std::string sku = {};                    // kRefused: of which SKU
  std::vector<std::string> missing = {};   // kMissing: SKUs the gate does not know
  std::vector<std::string> taken = {};     // kTaken: SKUs whose units were taken by this call, not by an earlier one
};

class StockGate {
 public:
  // What the gates of a process share. It outlives them.
  struct Memory {
    explicit Memory(int segment_count = 1, std::function<absl::Time()> database_time = absl::Now)
        : now(std::move(database_time)), segments(segment_count) {}
    const std::function<absl::Time()> now;  // the database's time, which decides about sale windows; any thread
    RuleBook rules;
    SoldOut sold_out;
    const int segments;  // the same in all processes; where it was another one before, the gate heals itself
  };
  StockGate(redis::Options options, Memory& memory) : client_(std::move(options)), memory_(memory) {}

  // All lines of a command or none. Idempotent by order id: the order's own mark is looked for before anything else.
  absl::StatusOr<std::vector<TakeResult>> Take(std::span<const ReserveCommand> commands);
  // Gives back what the orders took of these SKUs, by their marks; once.
  absl::Status Give(std::span<const Returned> returned);
  // The same for units that orders took a second time, because their marks had run out: the marks stay, for the orders
  // hold what they took first.
  absl::Status GiveSurplus(std::span<const Returned> surplus);
  // For a while refusals of these SKUs are not final: a mark of an order that holds units may be given back by mistake.
  absl::Status Doubt(std::span<const std::string> skus);
  // Sets stock the gate does not know; what it knows stays.
  struct Supply {
    std::string sku;
    std::int64_t available = 0;
    bool has_orders = false;  // held or sold
  };
  absl::Status Load(std::span<const Supply> supplies);
  // Lowers the gate where it promises more than there is. Then there are holds that it knows nothing of, so it doubts
  // its refusals of that SKU, too.
  absl::Status LowerTo(std::span<const std::pair<std::string, std::int64_t>> stock);
  // Adds (or takes) units where the gate knows the SKU.
  absl::Status Add(const std::string& sku, std::int64_t delta);
  // What a user has of a SKU by SQL, where the gate let through more than the limit.
  struct Purchase {
    std::string sku, user_id;
    std::int64_t units = 0;
  };
  absl::Status Learn(std::span<const Purchase> purchases);
  // The hold's marks live that much longer from now on.
  absl::Status Extend(const std::string& order_id, std::span<const Line> lines, absl::Duration hold);

  // What the gate believes; nothing where it does not know the SKU.
  absl::StatusOr<std::vector<std::optional<std::int64_t>>> Read(std::span<const std::string> skus);
  // Replaces `expected` by `stock`; not where it has moved meanwhile. Lowering is as with LowerTo.
  struct Correction {
    std::string sku;
    std::int64_t expected = 0, stock = 0;
  };
  absl::Status Correct(std::span<const Correction> corrections);

 private:
  using Segments = std::vector<std::optional<std::int64_t>>;  // one SKU's
  absl::StatusOr<std::vector<Segments>> ReadSegments(std::span<const std::string> skus);
  absl::Status DoubtOnce(std::span<const std::string> skus);
  absl::Status SetYoung(std::span<const std::string> skus, const redis::Command& options);
  absl::Status Return(std::span<const Returned> returned, const std::string& what_of_marks);
  absl::Status Run(const redis::Script& script, std::span<const redis::Client::Invocation> invocations);
  absl::Status RunAll(std::span<const redis::Command> commands);

  redis::Client client_;
  Memory& memory_;
};

}  // namespace flotilla::inventory
