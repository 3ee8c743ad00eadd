#include "inventory/store/schema.h"

#include "events/log.h"
#include "inventory/store/migrations.h"

namespace flotilla::inventory {

std::vector<postgres::Migration> Schema() { return postgres::Joined({events::LogMigrations(), Migrations()}); }

postgres::Rights Rights() {
  postgres::Rights rights = events::LogRights();
  rights.push_back({"INSERT", "sku, stock_movement, reservation"});
  rights.push_back({"INSERT, DELETE", "purchase"});
  rights.push_back(
      {"UPDATE (name, price_minor, currency, user_limit, sale_starts_at, sale_ends_at, sale_price_minor,"
       " low_stock_threshold, low_stock_events, changed, adjusted, available, reserved, sold)",
       "sku"});
  rights.push_back(
      {"UPDATE (state, skus, quantities, unit_prices, currency, limited_user, expires_at, updated_at)", "reservation"});
  return rights;
}

}  // namespace flotilla::inventory
