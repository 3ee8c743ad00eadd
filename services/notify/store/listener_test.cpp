#include "notify/store/listener.h"

#include <atomic>
#include <mutex>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"
#include "testing/eventually.h"

namespace flotilla::notify {
namespace {

Batch News(int users, const std::string& round) {
  Batch batch;
  for (int i = 0; i < users; ++i) {
    // As long as a user's name may be.
    std::string user = absl::StrCat("u-", i);
    user.resize(64, 'x');
    batch.notifications.push_back({.user_id = user,
                                   .event_id = absl::StrCat(round, "/", i),
                                   .type = "order.paid",
                                   .order_id = "00000000-0000-7000-8000-000000000001",
                                   .values = {{"order", "7"}},
                                   .occurred_at = absl::UnixEpoch()});
  }
  return batch;
}

TEST(Listener, HearsOfEveryUserAndComesBackAfterALostConnection) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)).ok());
  std::mutex mutex;
  std::set<std::string> heard;
  std::int64_t last = 0;
  std::atomic<int> gaps = 0;
  const auto count = [&] {
    std::lock_guard lock(mutex);
    return heard.size();
  };
  Origin own;
  const Listener listener(
      database.options(),
      [&](const std::vector<Told>& told) {
        std::lock_guard lock(mutex);
        for (const Told& each : told) {
          heard.insert(each.user_id);
          last = each.through;
        }
      },
      [&] { ++gaps; }, own);
  ASSERT_TRUE(Eventually([&] { return gaps == 1; }));

  NotificationStore store(database.options());
  // More than one payload holds.
  ASSERT_TRUE(store.Apply(News(350, "first")).ok());
  EXPECT_TRUE(Eventually([&] { return count() == 350; })) << count();

  database.Query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test listener'"
      " AND datname = current_database()");
  ASSERT_TRUE(Eventually([&] { return gaps == 2; }));
  {
    std::lock_guard lock(mutex);
    heard.clear();
  }
  ASSERT_TRUE(store.Apply(News(3, "second")).ok());
  EXPECT_TRUE(Eventually([&] { return count() == 3; })) << count();
  {
    std::lock_guard lock(mutex);
    EXPECT_EQ(last, 2) << "the second notification of each";
    heard.clear();
  }

  // What this process tells it does not hear, unless it does not know whether it told.
  const std::string known = own.word();
  ASSERT_TRUE(store.Apply(News(3, "own"), known).ok());
  ASSERT_TRUE(store.Apply(News(1, "another's"), Origin().word()).ok());
  EXPECT_TRUE(Eventually([&] { return count() == 1; })) << count();
  own.Renew();
  ASSERT_TRUE(store.Apply(News(2, "in doubt"), known).ok());
  EXPECT_TRUE(Eventually([&] { return count() == 2; })) << count();
}

}  // namespace
}  // namespace flotilla::notify
