// SKUs as rows.
#pragma once

#include "inventory/domain/sku.h"
#include "postgres/session.h"

namespace flotilla::inventory {

// Of a sku s, as RulesFrom reads them from the column `first` on.
#define RULES_COLUMNS                                                                     \
  "coalesce(s.user_limit, 0), (extract(epoch FROM s.sale_starts_at) * 1000000)::bigint, " \
  "(extract(epoch FROM s.sale_ends_at) * 1000000)::bigint, s.sale_price_minor"
// Of a sku s, as SkuFrom reads them.
#define SKU_COLUMNS \
  "s.sku, s.name, s.price_minor, s.currency, s.available, s.reserved, s.sold, s.low_stock_threshold, " RULES_COLUMNS
inline constexpr int kSkuColumns = 12;

SellingRules RulesFrom(const postgres::Row& row, int first);
Sku SkuFrom(const postgres::Row& row);

}  // namespace flotilla::inventory
