#include "order/store/schema.h"

#include "events/log.h"
#include "order/store/migrations.h"
#include "saga/migrations.h"
#include "saga/saga.h"

namespace flotilla::order {

std::vector<postgres::Migration> Schema() {
  std::vector<postgres::Migration> schema = events::LogMigrations();
  for (const auto& migration : saga::Migrations()) schema.push_back(migration);
  for (const auto& migration : Migrations()) schema.push_back(migration);
  return schema;
}

postgres::Rights Rights() {
  postgres::Rights rights = events::LogRights();
  for (const auto& right : saga::Rights()) rights.push_back(right);
  rights.push_back({"INSERT", "orders, order_refund"});
  rights.push_back(
      {"UPDATE (state, version, cancel_reason, refunded, payment_reference, pay_by, updated_at)", "orders"});
  return rights;
}

}  // namespace flotilla::order
