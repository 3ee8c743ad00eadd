#include "order/store/schema.h"

#include "events/log.h"
#include "order/store/migrations.h"
#include "saga/migrations.h"

namespace flotilla::order {

std::vector<postgres::Migration> Schema() {
  std::vector<postgres::Migration> schema = events::LogMigrations();
  for (const auto& migration : saga::Migrations()) schema.push_back(migration);
  for (const auto& migration : Migrations()) schema.push_back(migration);
  return schema;
}

}  // namespace flotilla::order
