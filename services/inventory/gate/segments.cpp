#include "inventory/gate/segments.h"

#include <algorithm>

namespace flotilla::inventory {

int SegmentOf(std::string_view key, int segments) {
  if (segments == 1) return 0;
  std::uint32_t hash = 2166136261;  // FNV-1a: absl's hash is another one in every process
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return static_cast<int>((hash ^ hash >> 16) % static_cast<std::uint32_t>(segments));
}

int HomeOf(const ReserveCommand& command, int segments) {
  return SegmentOf(command.user_id.empty() ? command.order_id : command.user_id, segments);
}

std::vector<std::int64_t> Spread(std::int64_t units, std::size_t segments) {
  const auto count = static_cast<std::int64_t>(segments);
  std::vector<std::int64_t> shares(segments, units / count);
  for (std::int64_t i = 0; i < units % count; ++i) ++shares[static_cast<std::size_t>(i)];
  return shares;
}

std::vector<std::int64_t> Changed(std::vector<std::int64_t> stock, std::int64_t delta) {
  if (delta > 0) {
    const std::vector<std::int64_t> shares = Spread(delta, stock.size());
    for (std::size_t i = 0; i < stock.size(); ++i) stock[i] += shares[i];
    return stock;
  }
  while (delta < 0) {
    const auto fullest = std::max_element(stock.begin(), stock.end());
    const std::int64_t cut = *fullest > 0 ? std::min(*fullest, -delta) : -delta;
    *fullest -= cut;
    delta += cut;
  }
  return stock;
}

}  // namespace flotilla::inventory
