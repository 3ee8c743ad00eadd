#include "notify/workflow/hub.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "gtest/gtest.h"

namespace flotilla::notify {
namespace {

async::Task<bool> WaitOn(Hub::Ticket& ticket) {
  const auto news = co_await ticket.Wait(async::After(absl::Milliseconds(250)));
  co_return !news.empty();
}

// As a subscriber does.
async::Task<bool> WaitForNews(Hub::Ticket& ticket) {
  for (int i = 0; i < 40; ++i) {
    const auto news = co_await ticket.Wait(async::After(absl::Milliseconds(250)));
    if (!news.empty()) co_return true;
  }
  co_return false;
}

TEST(Hub, AWakeBeforeTheWaitIsNotLost) {
  Hub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("anna");
  hub.Tell({{"bert", 1}, {"anna", 1}});
  hub.Tell({{"anna", 2}});
  EXPECT_TRUE(async::BlockOn(executor, WaitOn(*ticket)));
  EXPECT_FALSE(async::BlockOn(executor, WaitOn(*ticket))) << "one wake is taken once";
}

async::Task<std::vector<Grown>> NewsOf(Hub::Ticket& ticket) {
  co_return co_await ticket.Wait(async::After(absl::Milliseconds(250)));
}

Notification Stored(const std::string& user, std::int64_t sequence) {
  return {.user_id = user, .sequence = sequence, .event_id = "", .type = "", .occurred_at = absl::UnixEpoch()};
}

// What this process stored comes with its words, and not again when the database tells of it.
TEST(Hub, WhatWasStoredHereComesAsItIsAndOnce) {
  Hub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("anna");
  hub.Deliver({Stored("anna", 1), Stored("bert", 1), Stored("anna", 2)});
  hub.Tell({{"anna", 2}});
  const std::vector<Grown> news = async::BlockOn(executor, NewsOf(*ticket));
  ASSERT_EQ(news.size(), 2u);
  ASSERT_NE(news[1].notification, nullptr);
  EXPECT_EQ(news[1].notification->sequence, 2);
}

TEST(Hub, AReaderThatIsSlowHoldsLittleAndReadsTheDatabaseThen) {
  Hub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("anna");
  for (std::int64_t i = 1; i <= 1000; ++i) hub.Deliver({Stored("anna", i)});
  const std::vector<Grown> news = async::BlockOn(executor, NewsOf(*ticket));
  EXPECT_LE(news.size(), kMaxHeld);
  EXPECT_EQ(news.front().notification, nullptr);
  EXPECT_EQ(news.back().through, 1000);
}

TEST(Hub, OnlyTheUsersOwnWakesCount) {
  Hub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("anna");
  hub.Tell({{"bert", 1}});
  const absl::Time start = absl::Now();
  EXPECT_FALSE(async::BlockOn(executor, WaitOn(*ticket)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(20)) << "a wait is bounded";
  hub.WakeAll();
  EXPECT_TRUE(async::BlockOn(executor, WaitOn(*ticket)));
}

TEST(Hub, EveryWaiterOfAUserIsWoken) {
  Hub hub;
  async::ThreadExecutor one, two;
  const auto first = hub.Register("anna"), second = hub.Register("anna");
  std::thread waker([&] {
    absl::SleepFor(absl::Milliseconds(50));
    hub.Tell({{"anna", 1}});
  });
  std::thread other([&] { EXPECT_TRUE(async::BlockOn(two, WaitForNews(*second))); });
  EXPECT_TRUE(async::BlockOn(one, WaitForNews(*first)));
  waker.join();
  other.join();
}

TEST(Hub, TicketsComeAndGoWhileOthersWake) {
  Hub hub;
  async::ThreadExecutor one, two;
  std::atomic<bool> stop = false;
  std::thread waker([&] {
    while (!stop) hub.Tell({{"user-0", 1}, {"user-1", 1}, {"user-2", 1}});
  });
  const auto follow = [](Hub& h, int rounds) -> async::Task<int> {
    int woken = 0;
    for (int i = 0; i < rounds; ++i) {
      const auto ticket = h.Register(absl::StrCat("user-", i % 3));
      const auto news = co_await ticket->Wait(async::After(absl::Seconds(10)));
      woken += news.empty() ? 0 : 1;
    }
    co_return woken;
  };
  std::thread other([&] { EXPECT_EQ(async::BlockOn(two, follow(hub, 2000)), 2000); });
  EXPECT_EQ(async::BlockOn(one, follow(hub, 2000)), 2000);
  other.join();
  stop = true;
  waker.join();
}

}  // namespace
}  // namespace flotilla::notify
