#include "notify/store/mailbox_store.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class MailboxStoreTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }

  void Tell(const std::string& user, const std::string& type, int count = 1) {
    NotificationStore store(database_.options());
    Batch batch;
    for (int i = 0; i < count; ++i) {
      batch.notifications.push_back({.user_id = user,
                                     .event_id = absl::StrCat("e/", ++events_),
                                     .type = type,
                                     .order_id = "",
                                     .values = {{"order", "7"}},
                                     .occurred_at = absl::UnixEpoch()});
    }
    ASSERT_TRUE(store.Apply(batch).ok());
  }
  std::vector<std::int64_t> List(const MailboxStore::Query& query) {
    std::vector<std::int64_t> sequences;
    const auto list = store_.List(query);
    EXPECT_TRUE(list.ok()) << list.status();
    if (list.ok()) {
      for (const Notification& n : *list) sequences.push_back(n.sequence);
    }
    return sequences;
  }

  postgres::TestDatabase database_;
  MailboxStore store_{database_.options()};
  int events_ = 0;
};

TEST_F(MailboxStoreTest, WhatIsMarkedIsReadAndStaysSo) {
  Tell("anna", "order.paid", 6);
  Tell("bert", "order.paid", 2);
  EXPECT_EQ(store_.Summarize("anna")->unread, 6);
  EXPECT_EQ(store_.MarkRead("anna", 0, {5, 2, 5, 99})->unread, 4);
  EXPECT_EQ(store_.MarkRead("anna", 3, {})->unread, 2);
  EXPECT_EQ(store_.MarkRead("anna", 1, {})->unread, 2) << "a mark never goes back";
  EXPECT_THAT(List({.user_id = "anna", .limit = 10, .unread_only = true}), ElementsAre(4, 6));
  const auto all = store_.List({.user_id = "anna", .limit = 10});
  ASSERT_EQ(all->size(), 6u);
  for (const Notification& n : *all) EXPECT_EQ(n.read, n.sequence != 4 && n.sequence != 6) << n.sequence;
  // Beyond the end means everything there is, not what comes.
  EXPECT_EQ(store_.MarkRead("anna", 1000, {})->unread, 0);
  Tell("anna", "order.paid");
  EXPECT_EQ(store_.Summarize("anna")->unread, 1);
  EXPECT_EQ(store_.Summarize("anna")->last_sequence, 7);
  EXPECT_EQ(store_.Summarize("bert")->unread, 2);
  EXPECT_EQ(store_.Summarize("nobody")->last_sequence, 0);
  EXPECT_EQ(store_.MarkRead("nobody", 5, {1})->unread, 0);
}

TEST_F(MailboxStoreTest, ListsAreFilteredAndPaged) {
  Tell("anna", "order.reserved", 2);
  Tell("anna", "order.paid", 2);
  Tell("anna", "order.reserved");
  const std::vector<std::string> types = {"order.reserved", "x\"{,}"};
  EXPECT_THAT(List({.user_id = "anna", .limit = 10, .types = types}), ElementsAre(1, 2, 5));
  EXPECT_THAT(List({.user_id = "anna", .after = 1, .limit = 1, .types = types}), ElementsAre(2));
  EXPECT_THAT(List({.user_id = "anna", .limit = 10, .types = {"order.lost"}}), IsEmpty());
  EXPECT_THAT(List({.user_id = "bert", .limit = 10}), IsEmpty());
}

TEST_F(MailboxStoreTest, PreferencesCountForWhatComesThen) {
  Tell("anna", "order.paid");
  const Preferences wishes = {.language = "de", .muted = {{"order.reserved", kMailbox}, {"*", kWebhook}}};
  ASSERT_TRUE(store_.WritePreferences("anna", wishes).ok());
  ASSERT_TRUE(store_.WritePreferences("carl", {.language = "de", .muted = {}}).ok());
  Tell("anna", "order.reserved");
  Tell("anna", "order.paid");
  Tell("carl", "order.paid");
  const auto read = store_.ReadPreferences("anna");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->language, "de");
  ASSERT_EQ(read->muted.size(), 2u);
  EXPECT_EQ(read->muted[1].type, "*");
  EXPECT_EQ(read->muted[1].channels, kWebhook);
  EXPECT_THAT(List({.user_id = "anna", .limit = 10}), ElementsAre(1, 3));
  EXPECT_EQ(store_.Summarize("anna")->unread, 2);
  const auto list = store_.List({.user_id = "anna", .limit = 10});
  EXPECT_EQ((*list)[0].text, "Your order 7 is paid.");
  EXPECT_EQ((*list)[1].text, "Ihre Bestellung 7 ist bezahlt.");
  EXPECT_EQ((*list)[1].channels, kMailbox | kStream);
  EXPECT_THAT(List({.user_id = "carl", .limit = 10}), ElementsAre(1));
}

}  // namespace
}  // namespace flotilla::notify
