// What the inventory service's own role may do in its database.
#include "gtest/gtest.h"
#include "inventory/store/schema.h"
#include "postgres/test_role.h"

namespace flotilla::inventory {
namespace {

TEST(InventoryRights, MovementsAreOnlyAddedAndNothingOfTheStockIsDeleted) {
  postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
  const postgres::TestRole role(database, Rights());
  EXPECT_EQ(role.Liberties(), "");
  for (const char* sql : {
           "UPDATE stock_movement SET delta = 1",
           "DELETE FROM stock_movement",
           "UPDATE sku SET sku = 'x'",
           "UPDATE sku SET initial = 1",
           "UPDATE sku SET created_at = now()",
           "DELETE FROM sku",
           "UPDATE reservation SET order_id = order_id",
           "DELETE FROM reservation",
           "UPDATE purchase SET units = 1",
           "UPDATE purchase SET user_limit = 9",
           "UPDATE event SET data = ''",
           "DELETE FROM event",
           "DELETE FROM event_part",
           "UPDATE event_policy SET retention = '0'",
           "DELETE FROM relay_cursor",
           "DELETE FROM event_replay",
       }) {
    EXPECT_EQ(role.Try(sql), "refused") << sql;
  }
  for (const char* sql : {"SELECT event_make_parts()", "SELECT event_drop_parts()", "DELETE FROM purchase",
                          "UPDATE sku SET available = available", "SELECT FROM reservation FOR NO KEY UPDATE"}) {
    EXPECT_EQ(role.Try(sql), "allowed") << sql;
  }
}

}  // namespace
}  // namespace flotilla::inventory
