#include "async/hub.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::async {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

void KeepEach(std::vector<int>& held, const int& next) {
  if (next >= 0 && std::find(held.begin(), held.end(), next) == held.end()) held.push_back(next);
}
using IntHub = Hub<int, KeepEach>;

std::vector<int> Await(Executor& executor, IntHub::Ticket& ticket, absl::Duration patience) {
  return BlockOn(executor, [](IntHub::Ticket& t, absl::Duration p) -> Task<std::vector<int>> {
    co_return co_await t.Wait(After(p));
  }(ticket, patience));
}

const std::vector<std::string> kA = {"a"}, kB = {"b"}, kBoth = {"a", "b"};

TEST(Hub, ATicketHearsOfEveryKeyItFollowsAndOfNoOther) {
  IntHub hub;
  ThreadExecutor executor;
  const auto ticket = hub.Register("a");
  hub.Publish(kB, 1);
  ticket->Follow("b");
  ticket->Follow("b");
  hub.Publish(kBoth, 2);
  hub.Publish(kA, 3);
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(5)), ElementsAre(2, 3));
  ticket->Unfollow("a");
  ticket->Unfollow("a");
  hub.Publish(kA, 4);
  hub.Publish(kB, -1);
  EXPECT_THAT(Await(executor, *ticket, absl::Milliseconds(20)), IsEmpty());
  hub.PublishAll(5);
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(5)), ElementsAre(5));
}

TEST(Hub, AnEarlierDeadlineIsMetWhileALaterOneIsPending) {
  IntHub hub;
  ThreadExecutor one, two;
  const auto patient = hub.Register("a"), hasty = hub.Register("b");
  std::atomic<bool> told = false;
  std::thread other([&] {
    EXPECT_THAT(Await(one, *patient, absl::Seconds(60)), ElementsAre(1));
    EXPECT_TRUE(told);
  });
  EXPECT_THAT(Await(two, *hasty, absl::Milliseconds(30)), IsEmpty());
  told = true;
  hub.Publish(kA, 1);
  other.join();
}

TEST(Hub, AnInterruptEndsAWaitOrTheNextOne) {
  IntHub hub;
  ThreadExecutor executor;
  const auto ticket = hub.Register();
  ticket->Interrupt();
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(60)), IsEmpty());
  std::thread interrupter([&] {
    absl::SleepFor(absl::Milliseconds(20));
    ticket->Interrupt();
  });
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(60)), IsEmpty());
  interrupter.join();
}

TEST(Hub, ANudgeReachesThoseWhoFollowTheKey) {
  IntHub hub;
  ThreadExecutor executor;
  const auto ticket = hub.Register("a");
  hub.Nudge(kB);
  EXPECT_THAT(Await(executor, *ticket, absl::Milliseconds(20)), IsEmpty());
  hub.Nudge(kBoth);
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(60)), IsEmpty());
  hub.Nudge(kA);
  hub.Publish(kA, 7);
  EXPECT_THAT(Await(executor, *ticket, absl::Seconds(60)), ElementsAre(7)) << "news are not lost to a nudge";
  EXPECT_THAT(ticket->TakeNudged(), ElementsAre("a")) << "nor a nudge to news";
  EXPECT_THAT(ticket->TakeNudged(), IsEmpty());
  hub.Nudge(kA);
  ticket->Unfollow("a");
  EXPECT_THAT(ticket->TakeNudged(), IsEmpty());
}

}  // namespace
}  // namespace flotilla::async
