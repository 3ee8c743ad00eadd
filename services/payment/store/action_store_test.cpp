#include "payment/store/action_store.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "payment/store/store_fixture.h"
#include "testing/eventually.h"

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

TEST_F(ActionStoreTest, ARepeatInTheSameBatchIsAnsweredLikeALaterOne) {
  const std::string user = User(100);
  const std::string held = NewOrder(), voided = NewOrder();
  const AuthorizeCommand hold{held, user, {"EUR", 40}, kLater};
  const auto results = actions_.Apply(std::vector<Action>{hold, hold, CaptureCommand{held}, CaptureCommand{held}, hold,
                                                          AuthorizeCommand{voided, user, {"EUR", 30}, kLater},
                                                          VoidCommand{voided}, VoidCommand{voided}},
                                      nullptr);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_GT(results->front().transfer_id, 0);
  for (int i = 1; i < 5; ++i) EXPECT_EQ((*results)[i].transfer_id, results->front().transfer_id) << i;
  EXPECT_EQ(Do(hold).transfer_id, results->front().transfer_id);
  EXPECT_EQ((*results)[6].amount, (Money{"EUR", 30}));
  EXPECT_EQ((*results)[7].amount, (Money{"EUR", 30}));
  EXPECT_EQ(Do(VoidCommand{voided}).amount, (Money{"EUR", 30}));
}

TEST_F(ActionStoreTest, OneWayOfPayingIsNoRepeatOfAnother) {
  const std::string user = User(1000);
  const std::string held = NewOrder(), poor = NewOrder(), charged = NewOrder(), paid = NewOrder(), failed = NewOrder();
  const auto charge = [&](const std::string& order, std::int64_t amount = 100) {
    return Charge({order, user, {"EUR", amount}});
  };
  const auto authorize = [&](const std::string& order, std::int64_t amount = 100) {
    return Do(AuthorizeCommand{order, user, {"EUR", amount}, kLater}).outcome;
  };
  authorize(held);
  EXPECT_EQ(charge(held).outcome, ChargeOutcome::kOtherMethod);
  Do(CaptureCommand{held, Money{"EUR", 40}});
  EXPECT_EQ(charge(held).outcome, ChargeOutcome::kOtherMethod);
  EXPECT_EQ(authorize(held), Outcome::kDone);

  for (int i = 0; i < 2; ++i) EXPECT_EQ(authorize(poor, 2000), Outcome::kInsufficientFunds);
  EXPECT_EQ(charge(poor, 2000).outcome, ChargeOutcome::kOtherMethod);

  for (int i = 0; i < 2; ++i) EXPECT_EQ(charge(charged).outcome, ChargeOutcome::kCharged);
  EXPECT_EQ(authorize(charged), Outcome::kOtherMethod);

  for (const auto& [order, succeeded] : {std::pair(paid, true), std::pair(failed, false)}) {
    Do(AwaitCommand{order, user, {"EUR", 100}, kLater, "ref-" + order});
    Do(CallbackCommand{"evt-" + order, "ref-" + order, succeeded, {"EUR", 100}});
    EXPECT_EQ(charge(order).outcome, ChargeOutcome::kOtherMethod);
    EXPECT_EQ(authorize(order), Outcome::kOtherMethod);
  }
}

TEST_F(ActionStoreTest, AWordAgainstAnEarlierOneIsToldAfterTheEndToo) {
  const std::string order = NewOrder();
  Do(AwaitCommand{order, "guest", {"EUR", 70}, kLater, "ref-against"});
  Do(VoidCommand{order});
  Do(CallbackCommand{"evt-no", "ref-against", false, {"EUR", 70}});
  Do(CallbackCommand{"evt-yes", "ref-against", true, {"EUR", 70}});
  const auto told = [&](const char* type) {
    return Query(absl::StrCat("SELECT count(*) FROM event WHERE type = '", type, "' AND stream_id = '", order, "'"));
  };
  EXPECT_EQ(told("payment.late_refunded"), 1);
  EXPECT_EQ(told("payment.conflict"), 1);
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
  const absl::Time soon = clock_->Now() + absl::Seconds(2);
  ASSERT_EQ(Do(AuthorizeCommand{held, user, {"EUR", 40}, soon}).outcome, Outcome::kDone);
  ASSERT_EQ(Do(AwaitCommand{awaited, user, {"EUR", 40}, soon, "ref-expiring"}).outcome, Outcome::kDone);
  ASSERT_EQ(Do(AuthorizeCommand{later, user, {"EUR", 40}, kLater}).outcome, Outcome::kDone);
  // By the caller's clock, whatever the database's says.
  EXPECT_TRUE(actions_.Expired(soon - absl::Milliseconds(1), 10)->empty());
  EXPECT_THAT(*actions_.Expired(soon, 10), testing::UnorderedElementsAre(held, awaited));
  ASSERT_TRUE(Eventually([&] { return clock_->Now() > soon; }));
  std::vector<Work::Told> told;
  const std::vector<Action> actions = {ExpireCommand{held}, ExpireCommand{awaited}, ExpireCommand{later}};
  ASSERT_TRUE(actions_.Apply(actions, &told).ok());
  EXPECT_TRUE(actions_.Expired(clock_->Now(), 10)->empty());
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
      ActionStore store(database_->options(), {}, *clock_);
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

TEST_F(ActionStoreTest, AWordOfAnotherAmountIsToldOnceAcrossInstances) {
  const std::string order = NewOrder();
  Do(AwaitCommand{order, "guest", {"EUR", 70}, kLater, "ref-wrong"});
  const Action wrong = CallbackCommand{"evt-wrong", "ref-wrong", true, {"EUR", 71}};
  ActionStore other(database_->options(), {}, *clock_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Do(wrong).outcome, Outcome::kAmountMismatch);
    EXPECT_EQ(other.Apply({&wrong, 1}, nullptr)->front().outcome, Outcome::kAmountMismatch);
  }
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE type = 'payment.wrong_amount' AND stream_id = '" + order + "'"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM provider_dispute WHERE event_id = 'evt-wrong'"), 1);
  EXPECT_EQ(Do(CallbackCommand{"evt-wrong", "ref-wrong", true, {"EUR", 70}}).outcome, Outcome::kDone);
  EXPECT_EQ(Refund(order), 70);
}

// At the ledger's limit one is refused, and those in its batch go on.
TEST_F(ActionStoreTest, APaymentThatTheLedgerCannotHoldDoesNotHoldUpItsBatch) {
  const std::string first = NewOrder(), second = NewOrder();
  Do(AwaitCommand{first, "guest", {"SEK", kMaxAmount}, kLater, "ref-first"});
  Do(AwaitCommand{second, "guest", {"SEK", kMaxAmount}, kLater, "ref-second"});
  const std::string move =
      "WITH moved AS (UPDATE account SET balance = balance + CASE kind WHEN 7 THEN -1 ELSE 1 END * ";
  const std::string where = " WHERE currency = 'SEK' AND kind IN (3, 7) RETURNING 1) SELECT count(*) FROM moved";
  Query(absl::StrCat(move, kMostOwed - kMaxAmount, where));
  const std::vector<Action> words = {CallbackCommand{"evt-first", "ref-first", true, {"SEK", kMaxAmount}},
                                     CallbackCommand{"evt-second", "ref-second", true, {"SEK", kMaxAmount}},
                                     VoidCommand{NewOrder()}};
  const auto results = actions_.Apply(words, nullptr);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].outcome, Outcome::kDone);
  EXPECT_EQ((*results)[1].outcome, Outcome::kBalanceLimit);
  EXPECT_EQ((*results)[2].outcome, Outcome::kDone);
  EXPECT_EQ(Refund(first), kMaxAmount);
  EXPECT_EQ(Do(words[1]).outcome, Outcome::kDone);
  EXPECT_EQ(Refund(second), kMaxAmount);
  Query(absl::StrCat(move, -(kMostOwed - kMaxAmount), where));
}

// A refund that had to wait for the charge's row while another instance took the provider's word.
TEST_F(ActionStoreTest, ARefundThatWaitedForTheWordKnowsWhoPaid) {
  const std::string order = NewOrder();
  Do(AwaitCommand{order, "guest", {"DKK", 10}, kLater, "ref-waited"});
  pqxx::connection connection(database_->options().uri);
  pqxx::work word(connection);
  word.exec(absl::StrCat(R"(
      WITH paid AS (
        INSERT INTO transfer (kind, debit_account, credit_account, amount, currency, reference)
        SELECT 7, p.account_id, e.account_id, 10, 'DKK', ')",
                         order, R"(' FROM account p JOIN account e USING (currency)
        WHERE p.kind = 7 AND e.kind = 2 AND currency = 'DKK' RETURNING *),
      moved AS (
        UPDATE account a SET balance = balance + CASE a.account_id WHEN paid.debit_account THEN -10 ELSE 10 END
        FROM paid WHERE a.account_id IN (paid.debit_account, paid.credit_account))
      UPDATE charge SET state = 1, captured = 10, transfer_id = paid.transfer_id
      FROM paid WHERE order_id = ')",
                         order, "'"));
  std::thread refund([&] { EXPECT_EQ(Refund(order), 10); });
  EXPECT_TRUE(Eventually([] {
    return Query(
               "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = "
               "'Lock'") == 1;
  }));
  word.commit();
  refund.join();
  EXPECT_EQ(Query("SELECT balance FROM account WHERE kind = 7 AND currency = 'DKK'"), 0);
}

// The provider's word meets the deadline, or a void, in another instance: one of both comes first, and the money is
// where it belongs.
TEST_F(ActionStoreTest, AWordThatMeetsTheDeadlineOrAVoidIsTakenOrGoesBack) {
  constexpr int kOrders = 300;
  std::vector<std::string> orders;
  std::vector<Action> asks;
  const absl::Time deadline = clock_->Now() + absl::Seconds(3);
  for (int i = 0; i < kOrders; ++i) {
    orders.push_back(NewOrder());
    asks.emplace_back(AwaitCommand{orders.back(), "guest", {"NOK", 10}, deadline, "ref-" + orders.back()});
  }
  const auto asked = actions_.Apply(asks, nullptr);
  ASSERT_TRUE(asked.ok()) << asked.status();
  for (const ActionResult& result : *asked) ASSERT_EQ(result.outcome, Outcome::kDone);
  // Each store goes through the orders in an order of its own; every third one is voided.
  const auto run = [&](unsigned seed, const std::function<Action(int)>& make) {
    ActionStore store(database_->options(), {}, *clock_);
    std::vector<int> numbers(kOrders);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::shuffle(numbers.begin(), numbers.end(), std::minstd_rand(seed));
    for (const int number : numbers) {
      const Action action = make(number);
      const auto results = store.Apply({&action, 1}, nullptr);
      ASSERT_TRUE(results.ok()) << results.status();
    }
  };
  absl::SleepFor(deadline - absl::Milliseconds(200) - clock_->Now());
  std::thread words([&] {
    run(1, [&](int n) -> Action { return CallbackCommand{"evt-" + orders[n], "ref-" + orders[n], true, {"NOK", 10}}; });
  });
  std::thread sweeper([&] {
    ActionStore store(database_->options(), {}, *clock_);
    for (int i = 0; i < 100; ++i) {
      std::vector<Action> expiries;
      const std::vector<std::string> expired = *store.Expired(clock_->Now(), 20);
      for (const std::string& order : expired) expiries.emplace_back(ExpireCommand{order});
      EXPECT_TRUE(store.Apply(expiries, nullptr).ok());
    }
  });
  run(2, [&](int n) -> Action {
    if (n % 3 == 0) return VoidCommand{orders[n]};
    return ExpireCommand{orders[n]};
  });
  words.join();
  sweeper.join();
  const std::int64_t taken = Query("SELECT count(*) FROM charge WHERE currency = 'NOK' AND state = 1");
  const std::int64_t back = Query("SELECT count(*) FROM charge WHERE currency = 'NOK' AND state = 3");
  EXPECT_EQ(taken + back, kOrders);
  EXPECT_EQ(Query("SELECT count(*) FROM event WHERE type = 'payment.late_refunded' AND stream_id IN "
                  "(SELECT order_id::text FROM charge WHERE currency = 'NOK')"),
            back);
  EXPECT_EQ(Query("SELECT -balance FROM account WHERE kind = 7 AND currency = 'NOK'"), 10 * taken);
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
    ActionStore store(database_->options(), {}, *clock_);
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
