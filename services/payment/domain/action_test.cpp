#include "payment/domain/action.h"

#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kAnna = 10;
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
const absl::Time kLater = kNow + absl::Minutes(5);

Work NewWork(std::int64_t balance = 100) {
  Work work;
  work.wallets = {{{"anna", "EUR"}, {.account_id = kAnna, .balance = balance}}};
  std::int64_t id = 1;
  for (const SystemKind& system : kSystemKinds) work.system.Add(system.kind, "EUR", id++);
  work.now = kNow;
  return work;
}

Money Eur(std::int64_t amount) { return {"EUR", amount}; }
std::vector<TransferKind> Kinds(const Work& work) {
  std::vector<TransferKind> kinds;
  for (const Transfer& transfer : work.transfers) kinds.push_back(transfer.kind);
  return kinds;
}
// A charge of 100 that was captured in an earlier transaction.
Charge Captured(std::int64_t amount = 100) {
  return {.state = ChargeState::kCharged,
          .user_id = "anna",
          .amount = Eur(amount),
          .captured = amount,
          .transfer_id = 77,
          .payer_account = kAnna};
}
Outcome Do(Work& work, const Action& action) {
  return std::visit([&](const auto& command) { return Apply(work, command).outcome; }, action);
}
// What went to or from an account in all.
std::int64_t Net(const Work& work, std::int64_t account) {
  const Postings postings = Sum(work.transfers, work.system);
  for (const auto* side : {&postings.wallets, &postings.system}) {
    if (const auto it = side->find(account); it != side->end()) return it->second;
  }
  return 0;
}

TEST(Hold, APartialCaptureReleasesTheRestAndARepeatMovesNothing) {
  Work work = NewWork();
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kDone);
  EXPECT_EQ(work.wallets.at({"anna", "EUR"}).balance, 20);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Eur(81)}), Outcome::kExceedsAuthorized);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Money{"JPY", 1}}), Outcome::kCurrencyMismatch);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Eur(50)}), Outcome::kDone);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Eur(50)}), Outcome::kDone);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Eur(51)}), Outcome::kCaptureMismatch);
  EXPECT_EQ(Do(work, VoidCommand{"o"}), Outcome::kAlreadyCaptured);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kDone);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(79), kLater}), Outcome::kOtherAmount);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "bert", Eur(80), kLater}), Outcome::kOtherUser);
  EXPECT_EQ(Do(work, AwaitCommand{"o", "anna", Eur(80), kLater, "ref"}), Outcome::kOtherMethod);
  EXPECT_THAT(Kinds(work), ElementsAre(TransferKind::kAuthorize, TransferKind::kCapture, TransferKind::kRelease));
  EXPECT_EQ(Net(work, kAnna), -50);
}

TEST(Hold, AChargeAtOnceIsNoAuthorization) {
  Work work = NewWork();
  work.charges.emplace("o", Captured(80));
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kOtherMethod);
}

TEST(Hold, NullLateAndReorderedCallsMoveNothing) {
  Work work = NewWork();
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kUnknownCharge);
  EXPECT_EQ(Do(work, VoidCommand{"o"}), Outcome::kDone);  // before its authorization
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kVoided);
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kVoided);
  EXPECT_EQ(Do(work, VoidCommand{"o"}), Outcome::kDone);
  EXPECT_TRUE(work.transfers.empty());
}

TEST(Hold, TooLittleMoneyIsRememberedAndAnUnknownWalletIsNot) {
  Work work = NewWork(79);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kInsufficientFunds);
  work.wallets.at({"anna", "EUR"}).balance = 1000;
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kInsufficientFunds);
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kRefused);
  EXPECT_EQ(Do(work, AuthorizeCommand{"p", "nobody", Eur(80), kLater}), Outcome::kUnknownAccount);
  EXPECT_EQ(work.Find("p"), nullptr);
}

TEST(Hold, ExpiryGivesBackOnceAndACaptureAfterwardsIsRefused) {
  Work work = NewWork();
  Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater});
  EXPECT_EQ(Do(work, ExpireCommand{"o"}), Outcome::kDone);  // too early
  EXPECT_EQ(work.Find("o")->state, ChargeState::kAuthorized);
  work.now = kLater;
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kExpired);  // the sweeper has not come yet
  Do(work, ExpireCommand{"o"});
  Do(work, ExpireCommand{"o"});
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kExpired);
  EXPECT_EQ(Do(work, VoidCommand{"o"}), Outcome::kDone);
  EXPECT_THAT(Kinds(work), ElementsAre(TransferKind::kAuthorize, TransferKind::kRelease));
}

// The time of a repeat may have passed since, or lie further back than a new one's could.
TEST(Hold, OnlyANewOnesTimeMustBeAhead) {
  Work work = NewWork();
  const absl::Time far = kNow + kMaxExpiry + absl::Seconds(1);
  for (const absl::Time wrong : {kNow - absl::Seconds(1), kNow, far}) {
    EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), wrong}), Outcome::kBadExpiry);
    EXPECT_EQ(Do(work, AwaitCommand{"p", "anna", Eur(80), wrong, "ref"}), Outcome::kBadExpiry);
  }
  EXPECT_EQ(work.Find("o"), nullptr);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kDone);
  EXPECT_EQ(Do(work, AwaitCommand{"p", "anna", Eur(80), kLater, "ref"}), Outcome::kDone);
  Do(work, CaptureCommand{"o"});
  work.now = kLater + absl::Hours(1);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kDone);
  EXPECT_EQ(Apply(work, AwaitCommand{"p", "anna", Eur(80), kLater, "other"}).reference, "ref");
}

TEST(Refund, EachStateThatHasNothingToGiveBackHasItsOwnRefusal) {
  const std::map<ChargeState, Outcome> outcomes = {
      {ChargeState::kRefused, Outcome::kRefused},  {ChargeState::kRefunded, Outcome::kRefunded},
      {ChargeState::kVoided, Outcome::kVoided},    {ChargeState::kAuthorized, Outcome::kNotCaptured},
      {ChargeState::kAwaiting, Outcome::kNotPaid}, {ChargeState::kExpired, Outcome::kExpired}};
  for (const auto& [state, outcome] : outcomes) {
    Work work = NewWork();
    work.charges.emplace("o", Charge{.state = state, .user_id = "anna", .amount = Eur(1)});
    EXPECT_EQ(Do(work, RefundCommand{"o", "key"}), outcome);
    EXPECT_EQ(Do(work, SettleCommand{"o"}), outcome);
    EXPECT_TRUE(work.transfers.empty());
  }
  Work work = NewWork();
  work.charges.emplace(
      "o",
      Charge{.state = ChargeState::kExpired, .method = PaymentMethod::kExternal, .user_id = "anna", .amount = Eur(1)});
  EXPECT_EQ(Do(work, RefundCommand{"o", "key"}), Outcome::kPaymentExpired);
  EXPECT_EQ(Do(work, CaptureCommand{"o"}), Outcome::kNotAuthorized);
}

TEST(Refund, PartsNeverExceedWhatWasCaptured) {
  Work work = NewWork();
  work.charges.emplace("o", Captured());
  EXPECT_EQ(Do(work, RefundCommand{"o", "a", Eur(60)}), Outcome::kDone);
  EXPECT_EQ(Do(work, RefundCommand{"o", "a", Eur(60)}), Outcome::kDone);
  EXPECT_EQ(Do(work, RefundCommand{"o", "a", Eur(59)}), Outcome::kRefundMismatch);
  EXPECT_EQ(Do(work, RefundCommand{"o", "a"}), Outcome::kRefundMismatch);  // which asks for all
  EXPECT_EQ(Do(work, RefundCommand{"o", "b", Eur(41)}), Outcome::kExceedsCaptured);
  EXPECT_EQ(Do(work, RefundCommand{"o", "b", Money{"JPY", 1}}), Outcome::kCurrencyMismatch);
  EXPECT_EQ(work.Find("o")->state, ChargeState::kCharged);
  const ActionResult rest = Apply(work, RefundCommand{"o", "c"});
  EXPECT_EQ(rest.amount, Eur(40));
  EXPECT_EQ(Apply(work, RefundCommand{"o", "c"}).amount, Eur(40));
  EXPECT_EQ(work.Find("o")->state, ChargeState::kRefunded);
  EXPECT_EQ(Do(work, RefundCommand{"o", "d", Eur(1)}), Outcome::kRefunded);
  EXPECT_EQ(Net(work, kAnna), 100);
  EXPECT_EQ(work.new_refunds.size(), 2u);
}

TEST(Refund, WithoutAKeyAllThatIsLeftGoesBackOnceAndNothingLeavesATombstone) {
  Work work = NewWork();
  work.charges.emplace("o", Captured());
  Do(work, RefundCommand{"o", "a", Eur(60)});
  EXPECT_EQ(Apply(work, RefundCommand{"o"}).amount, Eur(40));
  EXPECT_EQ(Apply(work, RefundCommand{"o"}).amount, Eur(40));
  EXPECT_EQ(Do(work, RefundCommand{"never"}), Outcome::kDone);
  EXPECT_EQ(Do(work, AuthorizeCommand{"never", "anna", Eur(1), kLater}), Outcome::kVoided);
  EXPECT_EQ(Do(work, RefundCommand{"unknown", "key"}), Outcome::kUnknownCharge);
  EXPECT_EQ(Net(work, kAnna), 100);
}

// The first one was of a part; "all that was left" is the second one's.
TEST(Refund, OfAPartIsNoRepeatOfAllThoughAnotherTookTheRest) {
  for (const bool all : {false, true}) {
    Work work = NewWork();
    work.charges.emplace("o", Captured());
    EXPECT_EQ(Do(work, RefundCommand{"o", "r1", Eur(60)}), Outcome::kDone);
    EXPECT_EQ(Do(work, all ? RefundCommand{"o", "r2"} : RefundCommand{"o", "r2", Eur(40)}), Outcome::kDone);
    EXPECT_EQ(Do(work, RefundCommand{"o", "r1"}), Outcome::kRefundMismatch);
    EXPECT_EQ(Do(work, RefundCommand{"o", "r1", Eur(60)}), Outcome::kDone);
    EXPECT_EQ(Apply(work, RefundCommand{"o", "r2"}).amount, Eur(40));
    EXPECT_EQ(Net(work, kAnna), 100);
  }
}

TEST(Settle, OnlyWhatWasCapturedIsSplit) {
  Work work = NewWork();
  work.split = {1000, 0};
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(80), kLater}), Outcome::kDone);
  EXPECT_EQ(Do(work, SettleCommand{"o"}), Outcome::kNotCaptured);
  EXPECT_EQ(Do(work, CaptureCommand{"o", Eur(50)}), Outcome::kDone);
  EXPECT_EQ(Do(work, RefundCommand{"o", "r", Eur(20)}), Outcome::kDone);
  EXPECT_EQ(Apply(work, SettleCommand{"o"}).amount, Eur(30));
  EXPECT_EQ(Net(work, work.system.Find(AccountKind::kPlatformFee, "EUR")), 3);
  EXPECT_EQ(Net(work, work.system.Find(AccountKind::kMerchant, "EUR")), 27);
  EXPECT_EQ(Net(work, work.system.Find(AccountKind::kEscrow, "EUR")), 0);
  EXPECT_EQ(Net(work, work.system.Find(AccountKind::kHold, "EUR")), 0);
  EXPECT_EQ(Apply(work, RefundCommand{"o", "rest"}).amount, Eur(30));
  EXPECT_EQ(Net(work, kAnna), 0);
  EXPECT_EQ(Net(work, work.system.Find(AccountKind::kMerchant, "EUR")), 0);
}

TEST(Settle, TheFeeIsRoundedDownAndTheMerchantGetsTheRest) {
  struct Case {
    std::int64_t amount, basis_points, minimum, fee;
  };
  for (const Case& c : {Case{99, 250, 0, 2}, Case{99, 250, 10, 10}, Case{5, 250, 10, 5}, Case{100, 0, 0, 0},
                        Case{100, 10000, 0, 100}, Case{kMaxAmount, 9999, 0, kMaxAmount / 10000 * 9999}}) {
    Work work = NewWork();
    work.split = {c.basis_points, c.minimum};
    work.charges.emplace("o", Captured(c.amount));
    EXPECT_EQ(Do(work, SettleCommand{"o"}), Outcome::kDone);
    EXPECT_EQ(Do(work, SettleCommand{"o"}), Outcome::kDone);
    EXPECT_EQ(Net(work, work.system.Find(AccountKind::kPlatformFee, "EUR")), c.fee);
    EXPECT_EQ(Net(work, work.system.Find(AccountKind::kMerchant, "EUR")), c.amount - c.fee);
    EXPECT_EQ(Net(work, work.system.Find(AccountKind::kEscrow, "EUR")), -c.amount);
  }
}

TEST(Settle, WhatIsRefundedBeforeIsNotSplitAndWhatComesLaterIsTakenBackInProportion) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::minstd_rand random(seed);
  for (int round = 0; round < 500; ++round) {
    Work work = NewWork();
    work.split = {static_cast<std::int64_t>(random() % 10001), static_cast<std::int64_t>(random() % 20)};
    const std::int64_t amount = 1 + static_cast<std::int64_t>(random() % 1000);
    work.charges.emplace("o", Captured(amount));
    const std::int64_t before = static_cast<std::int64_t>(random()) % amount;
    if (before > 0) ASSERT_EQ(Do(work, RefundCommand{"o", "before", Eur(before)}), Outcome::kDone);
    ASSERT_EQ(Do(work, SettleCommand{"o"}), Outcome::kDone);
    const Charge settled = *work.Find("o");
    for (int part = 0; work.Find("o")->state == ChargeState::kCharged; ++part) {
      const std::int64_t left = amount - work.Find("o")->refunded;
      ASSERT_EQ(Do(work, RefundCommand{"o", std::to_string(part), Eur(1 + static_cast<std::int64_t>(random()) % left)}),
                Outcome::kDone);
      const Charge& charge = *work.Find("o");
      // Never more than one unit from the exact proportion, and never below zero.
      const double exact = static_cast<double>(settled.fee) * static_cast<double>(charge.refunded - before) /
                           static_cast<double>(settled.settled);
      ASSERT_LE(std::abs(static_cast<double>(charge.fee_refunded) - exact), 1);
      for (const Transfer& transfer : work.transfers) ASSERT_GT(transfer.amount.minor_units, 0);
    }
    for (const SystemKind& system : kSystemKinds) {
      const std::int64_t expected = system.kind == AccountKind::kEscrow ? -amount : 0;
      ASSERT_EQ(Net(work, work.system.Find(system.kind, "EUR")), expected) << system.owner;
    }
    ASSERT_EQ(Net(work, kAnna), amount);
  }
}

TEST(Settle, NothingIsSplitOfARefundedOrUnknownCharge) {
  Work work = NewWork();
  work.charges.emplace("o", Captured());
  Do(work, RefundCommand{"o"});
  EXPECT_EQ(Do(work, SettleCommand{"o"}), Outcome::kRefunded);
  EXPECT_EQ(Do(work, SettleCommand{"p"}), Outcome::kUnknownCharge);
}

class Provider : public testing::Test {
 protected:
  Provider() {
    EXPECT_EQ(Do(work, AwaitCommand{"o", "anna", Eur(100), kLater, "ref"}), Outcome::kDone);
    work.orders_by_reference = {{"ref", "o"}};
  }
  Outcome Say(const std::string& event_id, bool succeeded, std::int64_t amount = 100) {
    return Do(work, CallbackCommand{event_id, "ref", succeeded, Eur(amount)});
  }
  std::vector<Notice> Told() const {
    std::vector<Notice> notices;
    for (const auto& told : work.told) notices.push_back(told.notice);
    return notices;
  }
  std::int64_t ProviderOwes() const { return -Net(work, work.system.Find(AccountKind::kProvider, "EUR")); }
  Work work = NewWork();
};

TEST_F(Provider, SuccessCountsOnceHoweverOftenItComes) {
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  EXPECT_EQ(Say("e2", true), Outcome::kDone);
  EXPECT_THAT(Told(), ElementsAre(Notice::kSucceeded));
  EXPECT_EQ(ProviderOwes(), 100);
  EXPECT_EQ(Apply(work, AwaitCommand{"o", "anna", Eur(100), kLater, "other"}).reference, "ref");
  EXPECT_EQ(Do(work, AwaitCommand{"o", "bert", Eur(100), kLater, "other"}), Outcome::kOtherUser);
  EXPECT_EQ(Do(work, AuthorizeCommand{"o", "anna", Eur(100), kLater}), Outcome::kOtherMethod);
}

TEST_F(Provider, TheFirstWordStandsAndAContradictionIsTold) {
  EXPECT_EQ(Say("e1", false), Outcome::kDone);
  EXPECT_EQ(Say("e2", true), Outcome::kDone);
  EXPECT_THAT(Told(), ElementsAre(Notice::kFailed, Notice::kConflict));
  EXPECT_EQ(work.told.back().sequence, 2);
  EXPECT_EQ(work.Find("o")->state, ChargeState::kRefused);
  EXPECT_EQ(ProviderOwes(), 0);
}

TEST_F(Provider, AFailureAfterSuccessAndRefundIsAContradictionToo) {
  Say("e1", true);
  Do(work, RefundCommand{"o"});
  Say("e2", false);
  EXPECT_THAT(Told(), ElementsAre(Notice::kSucceeded, Notice::kConflict));
  EXPECT_EQ(ProviderOwes(), 0);
}

TEST_F(Provider, LateSuccessGoesBackByItself) {
  work.now = kLater;
  Do(work, ExpireCommand{"o"});
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  EXPECT_THAT(Told(), ElementsAre(Notice::kExpired, Notice::kLateRefunded));
  EXPECT_THAT(Kinds(work), ElementsAre(TransferKind::kExternal, TransferKind::kRefund));
  EXPECT_EQ(work.Find("o")->state, ChargeState::kRefunded);
}

TEST_F(Provider, SuccessPastTheDeadlineIsLateEvenBeforeTheSweeperCame) {
  work.now = kLater;
  Say("e1", true);
  EXPECT_THAT(Told(), ElementsAre(Notice::kExpired, Notice::kLateRefunded));
  EXPECT_EQ(ProviderOwes(), 0);
}

TEST_F(Provider, SuccessAfterACancellationGoesBackByItself) {
  EXPECT_EQ(Do(work, RefundCommand{"o"}), Outcome::kDone);
  EXPECT_EQ(Do(work, AwaitCommand{"o", "anna", Eur(100), kLater, "x"}), Outcome::kVoided);
  Say("e1", true);
  EXPECT_THAT(Told(), ElementsAre(Notice::kLateRefunded));
  EXPECT_EQ(ProviderOwes(), 0);
}

TEST_F(Provider, FailureAndThenSuccessOfWhatWasGivenUpIsAContradictionToo) {
  const Work waiting = work;
  for (const Action& end : {Action(VoidCommand{"o"}), Action(ExpireCommand{"o"})}) {
    work = waiting;
    work.now = kLater;
    Do(work, end);
    Say("e1", false);
    work.told.clear();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Say("e2", true), Outcome::kDone);
    EXPECT_THAT(Told(), ElementsAre(Notice::kLateRefunded, Notice::kConflict));
    EXPECT_EQ(work.Find("o")->state, ChargeState::kRefunded);
    EXPECT_EQ(ProviderOwes(), 0);
  }
}

TEST_F(Provider, WhatDoesNotFitIsNotTakenButToldOnce) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Say("e1", true, 99), Outcome::kAmountMismatch);
    EXPECT_EQ(Say("e1", true, 98), Outcome::kAmountMismatch);
  }
  EXPECT_EQ(work.Find("o")->state, ChargeState::kAwaiting);
  EXPECT_EQ(Do(work, CallbackCommand{"e1", "elsewhere", true, Eur(100)}), Outcome::kUnknownReference);
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Say("e1", false), Outcome::kEventReused);
  EXPECT_THAT(Told(), ElementsAre(Notice::kWrongAmount, Notice::kWrongAmount, Notice::kSucceeded, Notice::kConflict));
  EXPECT_EQ(work.Find("o")->event_count, 4);
  EXPECT_EQ(work.new_disputes.size(), 3u);
  EXPECT_EQ(ProviderOwes(), 100);
}

TEST_F(Provider, WhatItCannotOweIsRefusedAndMayComeAgain) {
  work.provider_balances["EUR"] = 99 - kMostOwed;
  EXPECT_EQ(Say("e1", true), Outcome::kBalanceLimit);
  EXPECT_TRUE(work.new_provider_events.empty());
  work.provider_balances["EUR"] += 1;
  EXPECT_EQ(Say("e1", true), Outcome::kDone);
  EXPECT_EQ(work.provider_balances["EUR"], -kMostOwed);
  Do(work, AwaitCommand{"p", "anna", Eur(1), kLater, "ref-p"});
  work.orders_by_reference["ref-p"] = "p";
  EXPECT_EQ(Do(work, CallbackCommand{"e2", "ref-p", true, Eur(1)}), Outcome::kBalanceLimit);  // its own batch counts
  // What goes straight back is owed by nobody.
  work.now = kLater;
  EXPECT_EQ(Do(work, CallbackCommand{"e2", "ref-p", true, Eur(1)}), Outcome::kDone);
  EXPECT_EQ(work.provider_balances["EUR"], -kMostOwed);
}

}  // namespace
}  // namespace flotilla::payment
