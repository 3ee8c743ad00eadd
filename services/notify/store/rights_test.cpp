#include "notify/store/rights.h"

#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "postgres/test_role.h"

namespace flotilla::notify {
namespace {

TEST(NotifyRights, WhatWasSaidStaysAsItIs) {
  postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)), absl::OkStatus());
  const postgres::TestRole role(database, Rights());
  EXPECT_EQ(role.Liberties(), "");
  for (const char* sql : {
           "UPDATE notification SET text = ''",
           "UPDATE notification SET user_id = 'me'",
           "DELETE FROM mailbox",
           "UPDATE mailbox SET user_id = 'me'",
           "UPDATE handled_event SET handled_at = now()",
           "UPDATE dead_letter SET data = ''",
           "UPDATE endpoint SET url = 'http://elsewhere'",
           "UPDATE endpoint SET user_id = 'me'",
           "UPDATE delivery SET sequence = 1",
           "UPDATE delivery_attempt SET error = ''",
           "DELETE FROM delivery_attempt",
       }) {
    EXPECT_EQ(role.Try(sql), "refused") << sql;
  }
  for (const char* sql :
       {"DELETE FROM endpoint", "DELETE FROM delivery", "DELETE FROM handled_event", "DELETE FROM notification",
        "DELETE FROM dead_letter", "SELECT FROM endpoint FOR UPDATE SKIP LOCKED", "SELECT pg_notify('told', '')"}) {
    EXPECT_EQ(role.Try(sql), "allowed") << sql;
  }
}

}  // namespace
}  // namespace flotilla::notify
