// All migrations of the database, the event log's among them, in their order.
#pragma once

#include <vector>

#include "events/log.h"
#include "inventory/store/migrations.h"

namespace flotilla::inventory {

inline std::vector<postgres::Migration> Schema() {
  std::vector<postgres::Migration> schema = events::LogMigrations();
  for (const postgres::Migration& migration : Migrations()) schema.push_back(migration);
  return schema;
}

}  // namespace flotilla::inventory
