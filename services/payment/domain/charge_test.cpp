#include "payment/domain/charge.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

using testing::ElementsAre;
using testing::Pair;

SystemAccounts Escrow() {
  SystemAccounts system;
  system.Add(AccountKind::kEscrow, "EUR", 2);
  system.Add(AccountKind::kEscrow, "JPY", 4);
  return system;
}
const SystemAccounts kEscrow = Escrow();

Wallets AnnaHas(std::int64_t balance) { return {{{"anna", "EUR"}, {.account_id = 10, .balance = balance}}}; }

ChargeCommand Take(std::string order, std::int64_t amount, std::string user = "anna") {
  return {std::move(order), std::move(user), {"EUR", amount}};
}

std::vector<ChargeOutcome> Outcomes(const ChargePlan& plan) {
  std::vector<ChargeOutcome> out;
  for (const auto& result : plan.results) out.push_back(result.outcome);
  return out;
}

TEST(PlanCharges, TakesInOrderOfArrivalUntilTheWalletIsEmpty) {
  const std::vector<ChargeCommand> commands = {Take("a", 60), Take("b", 50), Take("c", 40)};
  const ChargePlan plan = PlanCharges(commands, {}, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan),
              ElementsAre(ChargeOutcome::kCharged, ChargeOutcome::kInsufficientFunds, ChargeOutcome::kCharged));
  EXPECT_THAT(plan.postings.wallets, ElementsAre(Pair(10, -100)));
  EXPECT_THAT(plan.postings.system, ElementsAre(Pair(2, 100)));
  ASSERT_EQ(plan.writes.size(), 3u);
  EXPECT_EQ(plan.writes[1].state, ChargeState::kRefused);
}

TEST(PlanCharges, ARepeatInTheSameBatchIsTheFirstAnswer) {
  const std::vector<ChargeCommand> commands = {Take("a", 60), Take("a", 60), Take("a", 61), Take("b", 99),
                                               Take("b", 99)};
  const ChargePlan plan = PlanCharges(commands, {}, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan), ElementsAre(ChargeOutcome::kCharged, ChargeOutcome::kCharged, ChargeOutcome::kOtherAmount,
                                          ChargeOutcome::kInsufficientFunds, ChargeOutcome::kInsufficientFunds));
  EXPECT_EQ(plan.writes.size(), 2u);
  EXPECT_THAT(plan.postings.wallets, ElementsAre(Pair(10, -60)));
}

TEST(PlanCharges, StoredChargesAnswerForThemselves) {
  const Charges stored = {
      {"paid", {.state = ChargeState::kCharged, .user_id = "anna", .amount = {"EUR", 5}, .transfer_id = 77}},
      {"refused", {.state = ChargeState::kRefused, .user_id = "anna", .amount = {"EUR", 5}}},
      {"back", {.state = ChargeState::kRefunded, .user_id = "anna", .amount = {"EUR", 5}, .transfer_id = 78}},
      {"void", {.state = ChargeState::kVoided}},
      {"held", {.state = ChargeState::kAuthorized, .user_id = "anna", .amount = {"EUR", 5}}}};
  const std::vector<ChargeCommand> commands = {Take("paid", 5), Take("refused", 5),      Take("back", 5),
                                               Take("void", 5), Take("paid", 5, "bert"), Take("held", 5)};
  const ChargePlan plan = PlanCharges(commands, stored, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan),
              ElementsAre(ChargeOutcome::kCharged, ChargeOutcome::kInsufficientFunds, ChargeOutcome::kRefunded,
                          ChargeOutcome::kVoided, ChargeOutcome::kOtherUser, ChargeOutcome::kOtherMethod));
  EXPECT_EQ(plan.results[0].transfer_id, 77);
  EXPECT_TRUE(plan.writes.empty());
  EXPECT_TRUE(plan.postings.wallets.empty());
}

TEST(PlanCharges, WhatWasPaidInAnotherWayIsNoRepeat) {
  const absl::Time past = absl::FromUnixSeconds(1'700'000'000);
  const Charge captured{.state = ChargeState::kCharged,
                        .user_id = "anna",
                        .amount = {"EUR", 100},
                        .captured = 40,
                        .expires_at = past,
                        .transfer_id = 77};
  Charges stored;
  for (const ChargeState state : {ChargeState::kCharged, ChargeState::kRefused, ChargeState::kRefunded}) {
    Charge held = captured, external = captured;
    held.state = external.state = state;
    external.method = PaymentMethod::kExternal;
    stored.emplace(absl::StrCat("held-", static_cast<int>(state)), held);
    stored.emplace(absl::StrCat("external-", static_cast<int>(state)), external);
  }
  std::vector<ChargeCommand> commands;
  for (const auto& [order_id, charge] : stored) commands.push_back(Take(order_id, 100));
  const ChargePlan plan = PlanCharges(commands, stored, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan), testing::Each(ChargeOutcome::kOtherMethod));
  EXPECT_TRUE(plan.writes.empty());
}

TEST(PlanCharges, AnUnknownWalletLeavesNothing) {
  const std::vector<ChargeCommand> commands = {Take("a", 1, "nobody"), {"b", "anna", {"JPY", 1}}};
  const ChargePlan plan = PlanCharges(commands, {}, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan), ElementsAre(ChargeOutcome::kUnknownAccount, ChargeOutcome::kUnknownAccount));
  EXPECT_TRUE(plan.writes.empty());
}

}  // namespace
}  // namespace flotilla::payment
