#include "notify/store/notification_store.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kOrder[] = "00000000-0000-7000-8000-000000000001";

Notification Note(const std::string& user, const std::string& event_id, const std::string& type = "order.paid") {
  return {.user_id = user,
          .event_id = event_id,
          .type = type,
          .order_id = kOrder,
          .values = {{"order", "\"7\" \\ {is} 'x', NULL"}},
          .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)};
}

class NotificationStoreTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }
  std::vector<Notification> Read(const std::string& user, std::int64_t after = 0, int limit = 1000) {
    const std::vector<NotificationStore::Query> queries = {{user, after, limit}};
    const auto lists = store_.Read(queries);
    EXPECT_TRUE(lists.ok()) << lists.status();
    return lists.ok() ? lists->front() : std::vector<Notification>();
  }
  std::vector<std::string> EventIds(const std::string& user) {
    std::vector<std::string> ids;
    for (const Notification& n : Read(user)) ids.push_back(n.event_id);
    return ids;
  }

  postgres::TestDatabase database_;
  NotificationStore store_{database_.options()};
};

TEST_F(NotificationStoreTest, ABatchAppliedTwiceHasOneEffect) {
  const Batch batch = {.notifications = {Note("anna", "a/1"), Note("bert", "b/1"), Note("anna", "a/2")},
                       .dead_letters = {{.event_id = "x/1",
                                         .source = "order",
                                         .stream_id = "x",
                                         .sequence = 1,
                                         .type = "t",
                                         .data = std::string("\0\xff", 2),
                                         .reason = "why"}}};
  auto applied = store_.Apply(batch);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->stored.size(), 3u);
  EXPECT_EQ(applied->dead_letters, 1);
  applied = store_.Apply(batch);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->stored.size(), 0u);
  EXPECT_EQ(applied->dead_letters, 0);
  EXPECT_THAT(EventIds("anna"), ElementsAre("a/1", "a/2"));
  EXPECT_EQ(database_.Query("SELECT count(*) FROM handled_event"), "4");
  EXPECT_EQ(database_.Query("SELECT data FROM dead_letter WHERE event_id = 'x/1' AND reason = 'why'"), "\\x00ff");
}

TEST_F(NotificationStoreTest, WhatIsReadIsWhatWasWritten) {
  ASSERT_TRUE(store_.Apply({.notifications = {Note("anna", "a/1")}, .dead_letters = {}}).ok());
  const auto list = Read("anna");
  ASSERT_THAT(list, SizeIs(1));
  const Notification expected = Note("anna", "a/1");
  EXPECT_EQ(list[0].sequence, 1);
  EXPECT_EQ(list[0].user_id, "anna");
  EXPECT_EQ(list[0].type, expected.type);
  EXPECT_EQ(list[0].order_id, kOrder);
  EXPECT_EQ(list[0].text, "Your order \"7\" \\ {is} 'x', NULL is paid.");
  EXPECT_EQ(list[0].occurred_at, expected.occurred_at);
}

TEST_F(NotificationStoreTest, RepeatsInOneBatchAndPartlyNewBatchesLeaveNoGap) {
  ASSERT_TRUE(store_.Apply({.notifications = {Note("anna", "z/1"), Note("anna", "z/1")}, .dead_letters = {}}).ok());
  const auto applied = store_.Apply(
      {.notifications = {Note("anna", "y/1"), Note("anna", "z/1"), Note("anna", "b/1"), Note("anna", "y/1")},
       .dead_letters = {}});
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->stored.size(), 2u);
  EXPECT_THAT(EventIds("anna"), ElementsAre("z/1", "y/1", "b/1"));
  EXPECT_EQ(Read("anna").back().sequence, 3);
  EXPECT_TRUE(store_.Apply({}).ok());
}

TEST_F(NotificationStoreTest, ManyReadsShareOneStatement) {
  Batch batch;
  for (int i = 0; i < 10; ++i) batch.notifications.push_back(Note(i % 2 ? "anna" : "bert", absl::StrCat("e/", i)));
  ASSERT_TRUE(store_.Apply(batch).ok());
  const std::vector<NotificationStore::Query> queries = {
      {"bert", 3, 100}, {"nobody", 0, 100}, {"anna", 0, 2}, {"bert", 3, 1}, {"anna", 5, 100}};
  const auto lists = store_.Read(queries);
  ASSERT_TRUE(lists.ok()) << lists.status();
  ASSERT_THAT(*lists, SizeIs(5));
  EXPECT_THAT((*lists)[0], SizeIs(2));
  EXPECT_EQ((*lists)[0][0].sequence, 4);
  EXPECT_EQ((*lists)[0][0].user_id, "bert");
  EXPECT_THAT((*lists)[1], IsEmpty());
  EXPECT_THAT((*lists)[2], SizeIs(2));
  EXPECT_EQ((*lists)[2][1].event_id, "e/3");
  EXPECT_THAT((*lists)[3], SizeIs(1));
  EXPECT_THAT((*lists)[4], IsEmpty());
}

TEST_F(NotificationStoreTest, FourInstancesApplyTheSameEventsOnce) {
  constexpr int kEvents = 1200;
  constexpr int kBatch = 40;
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::atomic<std::int64_t> applied = 0;
  const auto run = [&](unsigned instance) {
    NotificationStore store(database_.options());
    std::vector<int> numbers(kEvents);
    for (int i = 0; i < kEvents; ++i) numbers[static_cast<std::size_t>(i)] = i;
    std::shuffle(numbers.begin(), numbers.end(), std::minstd_rand(seed + instance));
    for (int begin = 0; begin < kEvents; begin += kBatch) {
      Batch batch;
      for (int i = begin; i < begin + kBatch; ++i) {
        const int number = numbers[static_cast<std::size_t>(i)];
        batch.notifications.push_back(Note(absl::StrCat("user-", number % 7), absl::StrCat("e/", number)));
      }
      const auto result = store.Apply(batch);
      ASSERT_TRUE(result.ok()) << result.status();
      applied += static_cast<std::int64_t>(result->stored.size());
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(run, i);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied, kEvents);
  EXPECT_EQ(database_.Query("SELECT count(DISTINCT event_id) FROM notification"), absl::StrCat(kEvents));
  EXPECT_EQ(database_.Query("SELECT count(*) FROM (SELECT FROM notification GROUP BY user_id "
                            "HAVING min(sequence) <> 1 OR max(sequence) <> count(*)) gaps"),
            "0");
}

}  // namespace
}  // namespace flotilla::notify
