#include "payment/workflow/settler.h"

#include <memory>
#include <thread>

#include "payment/workflow/order_fixture.h"
#include "testing/eventually.h"

namespace flotilla::payment {
namespace {

class SettlerTest : public OrderTest {
 protected:
  std::unique_ptr<Settler> Run(absl::Duration settle_after = absl::ZeroDuration()) {
    auto settler = std::make_unique<Settler>(
        Settler::Options{.postgres = database_->options(),
                         .settle_after = settle_after,
                         .ask = [this](std::span<const Unsettled> charges) { return says_.Ask(charges); },
                         .usual_completion = absl::ZeroDuration(),
                         .period = absl::Milliseconds(10)},
        *clock_);
    settler->Start();
    return settler;
  }
  static std::int64_t Settled(const std::string& order) {
    return Query("SELECT settled FROM charge WHERE order_id = '" + order + "'");
  }
  static std::int64_t Waits(const std::string& order) {
    return Query("SELECT coalesce(sum(standing), 0) FROM settlement_wait WHERE order_id = '" + order + "'");
  }
  // As if the pause until the next question were over.
  static void LetTimePass() { database_->Query("UPDATE settlement_wait SET ask_at = now() WHERE standing <> 1"); }

  static OrderWord Complete(absl::Duration ago = absl::ZeroDuration()) {
    return {Standing::kComplete, clock_->Now() - ago};
  }
};

TEST_F(SettlerTest, WhatIsNotCompleteWaitsAndHoldsUpNoOther) {
  const std::string under_way = Charged({Standing::kUnderWay}), ended = Charged({Standing::kEnded}),
                    unknown = Charged({Standing::kUnknown}), complete = Charged(Complete());
  const auto settler = Run();
  EXPECT_TRUE(Eventually([&] { return Settled(complete) == 100; }));
  EXPECT_TRUE(Eventually([&] { return Waits(unknown) == 4; }));
  EXPECT_EQ(Waits(under_way), 2);
  EXPECT_EQ(Waits(ended), 3);
  EXPECT_EQ(Waits(complete), 0);
  says_.Set(under_way, Complete());
  Refund(ended);
  LetTimePass();
  EXPECT_TRUE(Eventually([&] { return Settled(under_way) == 100 && Waits(under_way) == 0; }));
  EXPECT_TRUE(Eventually([&] { return Waits(ended) == 0; })) << "given back, so it waits no longer";
  EXPECT_EQ(Settled(ended), 0);
  EXPECT_EQ(Settled(unknown), 0);
  EXPECT_EQ(Waits(unknown), 4);
  // More and more seldom: its next question is four seconds away, then eight.
  EXPECT_TRUE(Eventually([&] {
    return Query(
               "SELECT (asked >= 2 AND ask_at > now() + interval '1 second')::int FROM settlement_wait "
               "WHERE order_id = '" +
               unknown + "'") == 1;
  }));
  // An operator who knows better settles it by hand.
  EXPECT_EQ(Do(SettleCommand{unknown}).outcome, Outcome::kDone);
  LetTimePass();
  EXPECT_TRUE(Eventually([&] { return Waits(unknown) == 0; }));
}

TEST_F(SettlerTest, WhileNobodyAnswersItStandsStillAndNothingIsLost) {
  says_.SetAway(true);
  std::vector<std::string> orders;
  for (int i = 0; i < 3; ++i) orders.push_back(Charged(Complete()));
  {
    const auto settler = Run();
    EXPECT_TRUE(Eventually([&] { return says_.asked() >= 2; }));
  }
  for (const std::string& order : orders) EXPECT_EQ(Settled(order), 0);
  const auto settler = Run();  // payment, restarted while order is still away
  EXPECT_TRUE(Eventually([&] { return says_.asked() >= 4; }));
  for (const std::string& order : orders) EXPECT_EQ(Settled(order) + Waits(order), 0);
  says_.SetAway(false);
  for (const std::string& order : orders) EXPECT_TRUE(Eventually([&] { return Settled(order) == 100; }));
}

TEST_F(SettlerTest, WhatWaitsWhileNobodyAnswersHasItsTurnAgain) {
  const std::string order = Charged({Standing::kUnderWay});
  const auto settler = Run();
  EXPECT_TRUE(Eventually([&] { return Waits(order) == 2; }));
  says_.SetAway(true);
  const int asked = says_.asked();
  LetTimePass();
  EXPECT_TRUE(Eventually([&] { return says_.asked() > asked; }));
  EXPECT_EQ(Waits(order), 2);
  EXPECT_EQ(Settled(order), 0);
  says_.Set(order, Complete());
  says_.SetAway(false);
  LetTimePass();
  EXPECT_TRUE(Eventually([&] { return Settled(order) == 100 && Waits(order) == 0; }));
}

TEST_F(SettlerTest, TheTimeCountsFromTheCompletion) {
  const OrderWord word = Complete(-absl::Seconds(1));  // a second after its charge
  const std::string order = Charged(word);
  const auto settler = Run(absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return Settled(order) == 100; }));
  EXPECT_GE(clock_->Now(), word.completed_at + absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return Waits(order) == 0; }));  // a transaction later
}

// Two instances beside each other, while orders come to their completion.
TEST_F(SettlerTest, EveryChargeOnceThoughTwoAreAtWork) {
  const auto one = Run(), other = Run();
  std::vector<std::string> orders;
  for (int i = 0; i < 60; ++i) orders.push_back(Charged(i % 3 == 0 ? OrderWord{Standing::kUnderWay} : Complete()));
  for (int i = 0; i < 60; i += 3) says_.Set(orders[static_cast<std::size_t>(i)], Complete());
  EXPECT_TRUE(Eventually([&] {
    LetTimePass();
    return std::all_of(orders.begin(), orders.end(), [&](const std::string& o) { return Settled(o) == 100; });
  }));
  EXPECT_TRUE(Eventually([&] {
    LetTimePass();
    return Query("SELECT count(*) FROM settlement_wait w JOIN charge c USING (order_id) WHERE c.settled > 0") == 0;
  }));
  EXPECT_EQ(
      Query("SELECT count(*) FROM (SELECT 1 FROM transfer WHERE kind = 8 GROUP BY reference HAVING count(*) > 1) t"),
      0);
}

TEST_F(SettlerTest, SettlesWhatWasCapturedOfAnAuthorization) {
  const std::string order = NewOrder();
  says_.Set(order, Complete());
  Do(AuthorizeCommand{order, user_, {"EUR", 100}, clock_->Now() + absl::Hours(1)});
  const auto settler = Run();
  const std::string charged = Charged(Complete());
  EXPECT_TRUE(Eventually([&] { return Settled(charged) == 100; }));
  EXPECT_EQ(Settled(order) + Waits(order), 0) << "held only";
  Do(CaptureCommand{order, Money{"EUR", 60}});
  EXPECT_TRUE(Eventually([&] { return Settled(order) == 60; }));
}

// Refunds of a part, of all and of two parts at the very moment of the settlement: what goes back before it is not
// split, what goes back after it comes from merchant and platform, and each charge's money is where the ledger says.
TEST_F(SettlerTest, RefundsRaceTheSettlement) {
  const std::int64_t wallet = Balance(user_), shares = SumOf(5) + SumOf(6);
  std::vector<std::string> orders;
  for (int i = 0; i < 300; ++i) orders.push_back(Charged(Complete()));
  std::vector<std::thread> refunds;
  const auto one = Run(), other = Run();
  for (std::size_t of = 0; of < 3; ++of) {
    refunds.emplace_back([&, of] {
      ActionStore store(database_->options(), SplitRule{}, *clock_);
      for (std::size_t i = of; i < orders.size(); i += 3) {
        std::vector<Action> actions;
        if (of == 0) actions.emplace_back(RefundCommand{orders[i]});
        if (of == 1) actions.emplace_back(RefundCommand{orders[i], "part", Money{"EUR", 30}});
        if (of == 2) {
          actions.emplace_back(RefundCommand{orders[i], "one", Money{"EUR", 99}});
          actions.emplace_back(RefundCommand{orders[i], "other"});
        }
        const auto results = store.Apply(actions, nullptr);
        ASSERT_TRUE(results.ok()) << results.status();
        for (const ActionResult& result : *results) EXPECT_EQ(result.outcome, Outcome::kDone);
      }
    });
  }
  for (std::thread& thread : refunds) thread.join();
  for (std::size_t i = 1; i < orders.size(); i += 3) {
    EXPECT_TRUE(Eventually([&] { return Settled(orders[i]) > 0; })) << orders[i];
  }
  EXPECT_EQ(Balance(user_), wallet - 70 * 100);
  EXPECT_TRUE(Eventually([&] { return SumOf(5) + SumOf(6) == shares + 70 * 100; }));
  // Each was split once, of what was there then.
  EXPECT_EQ(Query("SELECT count(*) FROM charge WHERE user_id = '" + user_ + "' AND settled NOT IN (0, 70, 100)"), 0);
}

TEST(OrderWords, SayWhatSettlingNeedsToKnow) {
  order::v1::BatchGetCompletionsResponse::Result result;
  result.mutable_error()->set_code(5);
  EXPECT_EQ(WordOf(result).standing, Standing::kUnknown);
  result.Clear();
  const auto standing = [&](order::v1::OrderState state) {
    result.mutable_completion()->set_state(state);
    return WordOf(result).standing;
  };
  for (const auto state : {order::v1::ORDER_STATE_RESERVED, order::v1::ORDER_STATE_AWAITING_PAYMENT,
                           order::v1::ORDER_STATE_CANCELLING, order::v1::ORDER_STATE_REFUNDING}) {
    EXPECT_EQ(standing(state), Standing::kUnderWay) << state;
  }
  for (const auto state : {order::v1::ORDER_STATE_CANCELLED, order::v1::ORDER_STATE_REFUNDED}) {
    EXPECT_EQ(standing(state), Standing::kEnded) << state;
  }
  result.mutable_completion()->mutable_complete_time()->set_seconds(7);
  result.mutable_completion()->mutable_total()->set_minor_units(70);
  result.mutable_completion()->mutable_total()->set_currency_code("EUR");
  result.mutable_completion()->mutable_refunded()->set_minor_units(30);
  EXPECT_EQ(standing(order::v1::ORDER_STATE_PARTIALLY_REFUNDED), Standing::kComplete);
  EXPECT_EQ(WordOf(result).total, (Money{"EUR", 70}));
  EXPECT_EQ(WordOf(result).refunded, 30);
  EXPECT_EQ(standing(order::v1::ORDER_STATE_PAID), Standing::kComplete);
  EXPECT_EQ(WordOf(result).completed_at, absl::FromUnixSeconds(7));
}

}  // namespace
}  // namespace flotilla::payment
