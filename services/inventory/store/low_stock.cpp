#include "inventory/store/low_stock.h"

#include <map>
#include <vector>

#include "absl/time/clock.h"
#include "events/log.h"
#include "inventory/codec/codec.h"

namespace flotilla::inventory {
namespace {

const postgres::Statement kCount = {"count_low_stock", R"(
    UPDATE sku SET low_stock_events = low_stock_events + 1 WHERE sku = ANY($1::text[]) RETURNING sku, low_stock_events)"};

}  // namespace

void AppendLowStock(postgres::Transaction& transaction, std::span<const LowStock> low) {
  if (low.empty()) return;
  std::vector<std::string> skus;
  for (const LowStock& item : low) skus.push_back(item.sku);
  std::map<std::string, std::int64_t> sequences;
  for (const auto& row : transaction.Run(kCount, postgres::Array(skus))) {
    sequences[row[0].c_str()] = row[1].as<std::int64_t>();
  }
  std::vector<events::Event> out;
  const absl::Time now = absl::Now();
  for (const LowStock& item : low) out.push_back(EventOf(item, sequences.at(item.sku), now));
  events::Append(transaction, out);
}

}  // namespace flotilla::inventory
