#include "payment/store/action_store.h"

#include <algorithm>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

const absl::Time kLater = absl::Now() + absl::Hours(1);

using ActionStoreTest = StoreTest;

TEST_F(ActionStoreTest, AnAuthorizationIsHeldCapturedInPartAndTheRestGoesBack) {
  const std::string user = User(100);
  const std::string order = NewOrder();
  const ActionResult held = Do(AuthorizeCommand{order, user, {"EUR", 80}, kLater});
  EXPECT_EQ(held.outcome, Outcome::kDone);
  EXPECT_GT(held.transfer_id, 0);
  EXPECT_EQ(Balance(user), 20);
  EXPECT_EQ(Do(AuthorizeCommand{order, user, {"EUR", 80}, kLater}).transfer_id, held.transfer_id);
  EXPECT_EQ(Do(CaptureCommand{order, Money{"EUR", 50}}).outcome, Outcome::kDone);
  EXPECT_EQ(Do(CaptureCommand{order, Money{"EUR", 50}}).outcome, Outcome::kDone);
  EXPECT_EQ(Balance(user), 50);
  EXPECT_EQ(Do(RefundCommand{order, "r1", Money{"EUR", 20}}).outcome, Outcome::kDone);
  EXPECT_EQ(Do(RefundCommand{order, "r1", Money{"EUR", 20}}).outcome, Outcome::kDone);
  EXPECT_EQ(Do(RefundCommand{order, "r2", Money{"EUR", 31}}).outcome, Outcome::kExceedsCaptured);
  EXPECT_EQ(Refund(order), 30);
  EXPECT_EQ(Balance(user), 100);
}

TEST_F(ActionStoreTest, ABatchSeesItsOwnChanges) {
  const std::string user = User(100);
  const std::string order = NewOrder(), tombstone = NewOrder();
  const std::vector<Action> actions = {AuthorizeCommand{order, user, {"EUR", 80}, kLater},
                                       AuthorizeCommand{NewOrder(), user, {"EUR", 21}, kLater},
                                       CaptureCommand{order},
                                       SettleCommand{order},
                                       RefundCommand{order, "part", Money{"EUR", 30}},
                                       RefundCommand{order},
                                       VoidCommand{tombstone},
                                       AuthorizeCommand{tombstone, user, {"EUR", 1}, kLater}};
  const auto results = actions_.Apply(actions, nullptr);
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<Outcome> outcomes;
  for (const ActionResult& result : *results) outcomes.push_back(result.outcome);
  EXPECT_THAT(outcomes,
              testing::ElementsAre(Outcome::kDone, Outcome::kInsufficientFunds, Outcome::kDone, Outcome::kDone,
                                   Outcome::kDone, Outcome::kDone, Outcome::kDone, Outcome::kVoided));
  EXPECT_EQ(Balance(user), 100);
}

TEST_F(ActionStoreTest, AHotChargeIsRefundedInPartsAndSplit) {
  const std::string user = User(1000);
  const std::string order = NewOrder();
  Charge({order, user, {"EUR", 1000}});
  EXPECT_EQ(Do(SettleCommand{order}).amount.minor_units, 1000);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 6 AND currency = 'EUR'"), 25);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 5 AND currency = 'EUR'"), 975);
  Do(RefundCommand{order, "half", Money{"EUR", 500}});
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 6 AND currency = 'EUR'"), 13);
  EXPECT_EQ(Refund(order), 500);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 6 AND currency = 'EUR'"), 0);
  EXPECT_EQ(Balance(user), 1000);
  EXPECT_EQ(Charge({order, user, {"EUR", 1000}}).outcome, ChargeOutcome::kRefunded);
}

TEST_F(ActionStoreTest, WhatHasRunOutOfTimeIsFoundAndEnded) {
  const std::string user = User(100);
  const std::string held = NewOrder(), awaited = NewOrder(), later = NewOrder();
  const absl::Time soon = absl::Now() + absl::Milliseconds(1);
  Do(AuthorizeCommand{held, user, {"EUR", 40}, soon});
  Do(AwaitCommand{awaited, user, {"EUR", 40}, soon, "ref-expiring"});
  Do(AuthorizeCommand{later, user, {"EUR", 40}, kLater});
  std::vector<std::string> expired;
  while (expired.size() < 2) expired = *actions_.Expired(10);
  EXPECT_THAT(expired, testing::UnorderedElementsAre(held, awaited));
  std::vector<Work::Told> told;
  const std::vector<Action> actions = {ExpireCommand{held}, ExpireCommand{awaited}, ExpireCommand{later}};
  ASSERT_TRUE(actions_.Apply(actions, &told).ok());
  EXPECT_TRUE(actions_.Expired(10)->empty());
  EXPECT_EQ(Balance(user), 60);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].notice, Notice::kExpired);
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE type = 'payment.expired' AND stream_id = '" + awaited + "'"), 1);
  Do(VoidCommand{later});
}

TEST_F(ActionStoreTest, ACallbackTakesEffectOnceWithItsEventInTheSameTransaction) {
  const std::string order = NewOrder();
  // A currency that no wallet ever had.
  EXPECT_EQ(Do(AwaitCommand{order, "guest", {"CHF", 70}, kLater, "ref-once"}).reference, "ref-once");
  EXPECT_EQ(Do(AwaitCommand{order, "guest", {"CHF", 70}, kLater, "ref-other"}).reference, "ref-once");
  const auto call = [&](ActionStore& store) {
    std::vector<Action> actions(3, CallbackCommand{"evt-once", "ref-once", true, {"CHF", 70}});
    const auto results = store.Apply(actions, nullptr);
    ASSERT_TRUE(results.ok()) << results.status();
    for (const auto& result : *results) EXPECT_EQ(result.outcome, Outcome::kDone);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      ActionStore store(database_->options(), {});
      for (int round = 0; round < 5; ++round) call(store);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Query("SELECT count(*) FROM provider_event WHERE event_id = 'evt-once'"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE stream_id = '" + order + "'"), 1);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 7 AND currency = 'CHF'"), -70);
  EXPECT_EQ(Refund(order), 70);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 7 AND currency = 'CHF'"), 0);
}

// The promise of the issue: 500 random payments, each refunded twice at once, are exactly 500 refunds.
TEST_F(ActionStoreTest, FiveHundredRandomPaymentsRefundedTwiceAtOnceAreFiveHundredRefunds) {
  constexpr int kOrders = 500;
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::minstd_rand random(seed);
  std::vector<std::string> users;
  for (int i = 0; i < 7; ++i) users.push_back(User(1'000'000));
  std::vector<std::string> orders;
  std::vector<Action> refunds;
  for (int i = 0; i < kOrders; ++i) {
    orders.push_back(NewOrder());
    const std::string& user = users[random() % users.size()];
    const Money amount = {"EUR", 1 + static_cast<std::int64_t>(random() % 1000)};
    switch (random() % 3) {
      case 0:
        Charge({orders.back(), user, amount});
        break;
      case 1:
        Do(AuthorizeCommand{orders.back(), user, amount, kLater});
        Do(CaptureCommand{orders.back()});
        break;
      default:
        Do(AwaitCommand{orders.back(), user, amount, kLater, "ref-" + orders.back()});
        Do(CallbackCommand{"evt-" + orders.back(), "ref-" + orders.back(), true, amount});
    }
    if (random() % 2 == 0) Do(SettleCommand{orders.back()});
    refunds.emplace_back(RefundCommand{orders.back(), "refund"});
  }
  const std::int64_t before = Query("SELECT count(*) FROM refund");
  const auto run = [&](unsigned order_seed) {
    ActionStore store(database_->options(), {});
    std::vector<Action> mine = refunds;
    std::shuffle(mine.begin(), mine.end(), std::minstd_rand(order_seed));
    for (std::size_t i = 0; i < mine.size(); i += 20) {
      const auto results = store.Apply(std::span(mine).subspan(i, 20), nullptr);
      ASSERT_TRUE(results.ok()) << results.status();
      for (const ActionResult& result : *results) EXPECT_EQ(result.outcome, Outcome::kDone);
    }
  };
  std::thread other(run, seed + 1);
  run(seed + 2);
  other.join();
  EXPECT_EQ(Query("SELECT count(*) FROM refund") - before, kOrders);
  for (const std::string& user : users) EXPECT_EQ(Balance(user), 1'000'000);
  EXPECT_EQ(Query("SELECT count(*) FROM charge c WHERE refunded <> (SELECT coalesce(sum(amount), 0) FROM refund r"
                  " WHERE r.order_id = c.order_id)"),
            0);
}

}  // namespace
}  // namespace flotilla::payment
