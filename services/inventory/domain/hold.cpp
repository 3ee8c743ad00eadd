#include "inventory/domain/hold.h"

#include <algorithm>

namespace flotilla::inventory {

bool SameLines(std::vector<Line> a, std::vector<Line> b) {
  if (a.size() != b.size()) return false;
  const auto by_sku = [](const Line& x, const Line& y) { return x.sku < y.sku; };
  std::sort(a.begin(), a.end(), by_sku);
  std::sort(b.begin(), b.end(), by_sku);
  return std::equal(a.begin(), a.end(), b.begin(),
                    [](const Line& x, const Line& y) { return x.sku == y.sku && x.quantity == y.quantity; });
}

}  // namespace flotilla::inventory
