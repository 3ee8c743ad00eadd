#include "notify/store/pruner.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "notify/store/mailbox_store.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

class PrunerTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }

  // Deleted by whole passes with batches as they come; how many batches.
  template <class Prune>
  std::int64_t All(Prune prune, int* batches = nullptr) {
    std::int64_t deleted = 0;
    for (Pruner::Pass pass; !pass.end;) {
      EXPECT_TRUE((pruner_.*prune)(10 * kDay, pass).ok());
      deleted += pass.deleted;
      if (batches != nullptr) ++*batches;
    }
    return deleted;
  }
  std::string Count(const std::string& what) { return database_.Query("SELECT count(*) FROM " + what); }

  postgres::TestDatabase database_;
  Pruner pruner_{database_.options()};
};

TEST_F(PrunerTest, OldHandledEventsGoInBoundedBatchesAndOthersStay) {
  database_.Query(
      "INSERT INTO handled_event SELECT 'event-of-some-length/' || i, now() - i % 20 * interval '1 day'"
      " FROM generate_series(1, 100000) i");
  int batches = 0;
  EXPECT_EQ(All(&Pruner::PruneHandled, &batches), 50000);
  EXPECT_GT(batches, 2);
  EXPECT_EQ(Count("handled_event"), "50000");
  EXPECT_EQ(Count("handled_event WHERE handled_at < now() - interval '10 days 1 minute'"), "0");
  EXPECT_EQ(All(&Pruner::PruneHandled), 0);
}

// What is still known is not applied again; what is forgotten would be.
TEST_F(PrunerTest, AHandledEventIsKnownUntilItIsPruned) {
  NotificationStore store(database_.options());
  Batch batch;
  batch.notifications.push_back({.user_id = "anna",
                                 .event_id = "e/1",
                                 .type = "order.paid",
                                 .order_id = "",
                                 .values = {},
                                 .occurred_at = absl::UnixEpoch()});
  ASSERT_TRUE(store.Apply(batch).ok());
  EXPECT_EQ(All(&Pruner::PruneHandled), 0);
  ASSERT_TRUE(store.Apply(batch).ok());
  EXPECT_EQ(Count("notification"), "1");
  database_.Query("UPDATE handled_event SET handled_at = now() - interval '11 days'");
  EXPECT_EQ(All(&Pruner::PruneHandled), 1);
}

// The unread count is of what is there, and numbers go on; a webhook that has not had one yet still gets it.
TEST_F(PrunerTest, OldNotificationsGoReadOrNotAndNumbersGoOn) {
  database_.Query(
      "INSERT INTO mailbox (user_id, last, read_through) SELECT 'u' || i, 100, 30 FROM generate_series(1, 500) i");
  // Each user's first 60 are old.
  database_.Query(
      "INSERT INTO notification (user_id, sequence, event_id, type, text, occurred_at)"
      " SELECT 'u' || u, s, u || '/' || s, 'order.paid', repeat('x', 100),"
      " now() - CASE WHEN s <= 60 THEN interval '11 days' ELSE interval '9 days' END"
      " FROM generate_series(1, 500) u, generate_series(1, 100) s");
  database_.Query(
      "INSERT INTO endpoint (endpoint_id, user_id, url, secret, event_types)"
      " VALUES ('00000000-0000-4000-8000-000000000001', 'u1', 'https://example.com', '', '{}')");
  database_.Query(
      "INSERT INTO delivery (endpoint_id, user_id, sequence)"
      " VALUES ('00000000-0000-4000-8000-000000000001', 'u1', 7)");
  MailboxStore mailboxes(database_.options());
  EXPECT_EQ(mailboxes.Summarize("u2")->unread, 70);
  int batches = 0;
  EXPECT_EQ(All(&Pruner::PruneNotifications, &batches), 500 * 60 - 1);
  EXPECT_GT(batches, 2);
  EXPECT_EQ(Count("notification"), "20001");
  EXPECT_EQ(Count("notification WHERE user_id = 'u1' AND sequence = 7"), "1");
  EXPECT_EQ(mailboxes.Summarize("u2")->unread, 40);
  EXPECT_EQ(mailboxes.Summarize("u2")->last_sequence, 100);
  NotificationStore store(database_.options());
  Batch batch;
  batch.notifications.push_back({.user_id = "u2", .event_id = "e/1", .type = "order.paid", .occurred_at = absl::Now()});
  const auto applied = store.Apply(batch);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->stored.at(0).sequence, 101);
  EXPECT_EQ(mailboxes.Summarize("u2")->unread, 41);
  EXPECT_EQ(All(&Pruner::PruneNotifications), 0);
}

TEST_F(PrunerTest, TheDeliveryLogIsKeptForItsTime) {
  database_.Query(
      "INSERT INTO endpoint (endpoint_id, user_id, url, secret, event_types)"
      " VALUES ('00000000-0000-4000-8000-000000000001', 'anna', 'https://example.com', '', '{}')");
  database_.Query(
      "INSERT INTO delivery (endpoint_id, user_id, sequence, state, next_at, created_at)"
      " SELECT '00000000-0000-4000-8000-000000000001', 'anna', i, 2, created, created"
      " FROM generate_series(1, 5000) i, LATERAL (SELECT now() - (5000 - i) * interval '6 minutes') AS t(created)");
  database_.Query("INSERT INTO delivery_attempt SELECT delivery_id, now(), 200, '', 1 FROM delivery");
  // Old ones that wait: for a try that is due, and for an endpoint that has been disabled for long.
  database_.Query("UPDATE delivery SET state = 1, next_at = now() + interval '1 minute' WHERE sequence = 1");
  database_.Query("UPDATE delivery SET state = 1 WHERE sequence = 2");
  const std::string old = Count("delivery WHERE created_at < now() - interval '10 days'");
  EXPECT_EQ(absl::StrCat(All(&Pruner::PruneDeliveries) + 1), old);
  EXPECT_EQ(Count("delivery WHERE created_at < now() - interval '10 days 1 minute'"), "1");
  EXPECT_EQ(Count("delivery WHERE sequence = 1"), "1");
  EXPECT_EQ(Count("delivery_attempt"), Count("delivery"));
  EXPECT_EQ(All(&Pruner::PruneDeliveries), 0);
}

}  // namespace
}  // namespace flotilla::notify
