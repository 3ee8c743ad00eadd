// How a SKU's stock lies in several segments, keys of different hash tags, which a cluster keeps on different nodes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "inventory/domain/hold.h"

namespace flotilla::inventory {

// The segment that a key belongs to: the same in every process, at all times.
int SegmentOf(std::string_view key, int segments);
// Where a command's mark lies and its taking begins. By the user, where there is one, so that all units of a limited
// user are counted in one place.
int HomeOf(const ReserveCommand& command, int segments);

// `units` over so many segments, as even as it goes.
std::vector<std::int64_t> Spread(std::int64_t units, std::size_t segments);
// The segments' stock after a change of their sum: more is spread evenly; less comes off the fullest, none below zero
// as long as there are units elsewhere.
std::vector<std::int64_t> Changed(std::vector<std::int64_t> stock, std::int64_t delta);

}  // namespace flotilla::inventory
