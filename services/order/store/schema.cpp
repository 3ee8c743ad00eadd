#include "order/store/schema.h"

#include "events/log.h"
#include "order/store/migrations.h"
#include "saga/migrations.h"
#include "saga/saga.h"

namespace flotilla::order {

std::vector<postgres::Migration> Schema() {
  return postgres::Joined({events::LogMigrations(), saga::Migrations(), Migrations()});
}

postgres::Rights Rights() {
  postgres::Rights rights = events::LogRights();
  for (const auto& right : saga::Rights()) rights.push_back(right);
  rights.push_back({"INSERT", "orders, order_refund"});
  rights.push_back(
      {"UPDATE (state, version, cancel_reason, refunded, payment_reference, pay_by, awaits_until, updated_at)",
       "orders"});
  return rights;
}

}  // namespace flotilla::order
