// The scripts' answers for the lines of orders: from each line's home segment and, where that is short, from the
// others.
#pragma once

#include <span>

#include "absl/status/status.h"
#include "inventory/gate/scripts.h"
#include "inventory/gate/stock_gate.h"
#include "redis/client.h"

namespace flotilla::inventory {

struct AskedLine {
  std::size_t command = 0;  // index
  const Line* line = nullptr;
  std::int64_t wanted = 0;  // units, without those gathered from other segments
  int answer = kTaken;
  // This or an earlier call has taken units, which must go back where the order does not get all it wants.
  bool Holds() const { return answer == kTaken || (answer != kTakenBefore && wanted < line->quantity); }
};

// The lines of `commands` that are in `open`, in order, with their answers. UNAVAILABLE: units may have been taken.
absl::StatusOr<std::vector<AskedLine>> AskForLines(redis::Client& client, const StockGate::Memory& memory,
                                                   std::span<const ReserveCommand> commands,
                                                   std::span<const std::size_t> open);

}  // namespace flotilla::inventory
