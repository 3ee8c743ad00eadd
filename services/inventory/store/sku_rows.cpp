#include "inventory/store/sku_rows.h"

namespace flotilla::inventory {

SellingRules RulesFrom(const postgres::Row& row, int first) {
  const auto field = [&](int offset) { return row[static_cast<int>(first + offset)]; };
  SellingRules rules;
  rules.user_limit = field(0).as<std::int64_t>();
  if (!field(1).is_null()) rules.sale_start = absl::FromUnixMicros(field(1).as<std::int64_t>());
  if (!field(2).is_null()) rules.sale_end = absl::FromUnixMicros(field(2).as<std::int64_t>());
  if (!field(3).is_null()) rules.sale_price = field(3).as<std::int64_t>();
  return rules;
}

Sku SkuFrom(const postgres::Row& row) {
  Sku sku;
  sku.sku = row[0].c_str();
  sku.name = row[1].c_str();
  sku.price = row[2].as<std::int64_t>();
  sku.currency = row[3].c_str();
  sku.available = row[4].as<std::int64_t>();
  sku.reserved = row[5].as<std::int64_t>();
  sku.sold = row[6].as<std::int64_t>();
  sku.low_stock_threshold = row[7].as<std::int64_t>();
  sku.rules = RulesFrom(row, 8);
  return sku;
}

}  // namespace flotilla::inventory
