#include "notify/store/dead_letter_store.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

TEST(DeadLetterStore, PagesBringEveryLetterOnce) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)).ok());
  NotificationStore notifications(database.options());
  Batch batch;
  for (int i = 0; i < 5; ++i) {  // all at one time
    batch.dead_letters.push_back({.event_id = absl::StrCat("x/", i),
                                  .source = "payment",
                                  .stream_id = "x",
                                  .sequence = i,
                                  .type = "t",
                                  .data = std::string("\0\xff", 2),
                                  .reason = "why",
                                  .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)});
  }
  ASSERT_TRUE(notifications.Apply(batch).ok());
  DeadLetterStore store(database.options());
  DeadLetterStore::Query query{.limit = 2};
  std::vector<std::string> ids;
  for (;;) {
    const auto letters = store.List(query);
    ASSERT_TRUE(letters.ok()) << letters.status();
    if (letters->empty()) break;
    for (const DeadLetter& letter : *letters) ids.push_back(letter.event_id);
    query.after = letters->back().buried_at;
    query.after_id = letters->back().event_id;
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"x/0", "x/1", "x/2", "x/3", "x/4"}));
  const auto letter = store.Find("x/3");
  ASSERT_TRUE(letter.ok() && letter->has_value()) << letter.status();
  EXPECT_EQ((*letter)->source, "payment");
  EXPECT_EQ((*letter)->data, std::string("\0\xff", 2));
  EXPECT_EQ((*letter)->occurred_at, absl::FromUnixMicros(1'700'000'000'123'456));
  EXPECT_FALSE(store.Find("x/9")->has_value());
}

}  // namespace
}  // namespace flotilla::notify
