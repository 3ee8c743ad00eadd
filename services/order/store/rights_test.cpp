// What the order service's own role may do in its database.
#include "gtest/gtest.h"
#include "order/store/schema.h"
#include "postgres/test_role.h"

namespace flotilla::order {
namespace {

TEST(OrderRights, WhatWasOrderedAndToldStaysAsItIs) {
  postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
  const postgres::TestRole role(database, Rights());
  EXPECT_EQ(role.Liberties(), "");
  for (const char* sql : {
           "UPDATE orders SET total = 1",
           "UPDATE orders SET user_id = 'me'",
           "UPDATE orders SET body_hash = ''",
           "UPDATE orders SET unit_prices = '{1}'",
           "DELETE FROM orders",
           "UPDATE order_refund SET amount = 1",
           "DELETE FROM order_refund",
           "UPDATE event SET data = ''",
           "DELETE FROM event",
           "DELETE FROM event_default",
           "DELETE FROM relay_cursor",
           "UPDATE event_policy SET retention = '0'",
           "DELETE FROM event_part",
           "UPDATE event_replay SET operator = 'other'",
           "DELETE FROM event_replay",
           "UPDATE operator_act SET operator = 'other'",
           "DELETE FROM operator_act",
           "UPDATE saga SET data = ''",
           "UPDATE saga_history SET error = ''",
           "UPDATE saga_archive SET data = ''",
       }) {
    EXPECT_EQ(role.Try(sql), "refused") << sql;
  }
  // The parts of the log by the owner's functions alone; what a saga's admin and its cleaning need.
  for (const char* sql :
       {"SELECT event_make_parts()", "SELECT event_drop_parts()", "SELECT event_rows_without_part()",
        "SELECT FROM saga_history FOR UPDATE SKIP LOCKED", "SELECT FROM saga_archive FOR UPDATE SKIP LOCKED",
        "DELETE FROM saga_history", "DELETE FROM saga_archive", "SELECT saga_renew('me', '1s')",
        "SELECT saga_look('{t}', '{i}', '{1}')", "SELECT saga_claim('me', '1s', '{t/1}', 1)",
        "UPDATE saga SET troubled = true, parked_from = NULL, parked_step = '', fence = fence + 1",
        "INSERT INTO operator_act (operator, act, type, id, note) VALUES ('o', 1, 't', 'i', 'n')",
        "INSERT INTO event_replay (operator, note, stream_id, from_time, to_time) VALUES ('o', '', '', now(), now())",
        "UPDATE event_replay SET published = 1, ended_at = now()"}) {
    EXPECT_EQ(role.Try(sql), "allowed") << sql;
  }
}

}  // namespace
}  // namespace flotilla::order
