#include "payment/domain/ledger.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

using testing::ElementsAre;
using testing::Pair;

const SystemAccounts kEscrow = {{"EUR", 2}, {"JPY", 4}};

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
  EXPECT_THAT(Outcomes(plan), ElementsAre(ChargeOutcome::kCharged, ChargeOutcome::kCharged, ChargeOutcome::kMismatch,
                                          ChargeOutcome::kInsufficientFunds, ChargeOutcome::kInsufficientFunds));
  EXPECT_EQ(plan.writes.size(), 2u);
  EXPECT_THAT(plan.postings.wallets, ElementsAre(Pair(10, -60)));
}

TEST(PlanCharges, StoredChargesAnswerForThemselves) {
  const Charges stored = {
      {"paid", {.state = ChargeState::kCharged, .user_id = "anna", .amount = {"EUR", 5}, .transfer_id = 77}},
      {"refused", {.state = ChargeState::kRefused, .user_id = "anna", .amount = {"EUR", 5}}},
      {"back", {.state = ChargeState::kRefunded, .user_id = "anna", .amount = {"EUR", 5}, .transfer_id = 78}},
      {"void", {.state = ChargeState::kVoided}}};
  const std::vector<ChargeCommand> commands = {Take("paid", 5), Take("refused", 5), Take("back", 5), Take("void", 5),
                                               Take("paid", 5, "bert")};
  const ChargePlan plan = PlanCharges(commands, stored, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan), ElementsAre(ChargeOutcome::kCharged, ChargeOutcome::kInsufficientFunds,
                                          ChargeOutcome::kRefunded, ChargeOutcome::kVoided, ChargeOutcome::kMismatch));
  EXPECT_EQ(plan.results[0].transfer_id, 77);
  EXPECT_TRUE(plan.writes.empty());
  EXPECT_TRUE(plan.postings.wallets.empty());
}

TEST(PlanCharges, AnUnknownWalletLeavesNothing) {
  const std::vector<ChargeCommand> commands = {Take("a", 1, "nobody"), {"b", "anna", {"JPY", 1}}};
  const ChargePlan plan = PlanCharges(commands, {}, AnnaHas(100), kEscrow);
  EXPECT_THAT(Outcomes(plan), ElementsAre(ChargeOutcome::kUnknownAccount, ChargeOutcome::kUnknownAccount));
  EXPECT_TRUE(plan.writes.empty());
}

TEST(PlanRefunds, ReversesOnceAndLeavesTombstonesOnce) {
  const Charges stored = {{"paid",
                           {.state = ChargeState::kCharged,
                            .user_id = "anna",
                            .amount = {"EUR", 5},
                            .transfer_id = 77,
                            .wallet_account = 10,
                            .escrow_account = 2}},
                          {"refused", {.state = ChargeState::kRefused, .user_id = "anna", .amount = {"EUR", 5}}}};
  const std::vector<std::string> orders = {"paid", "paid", "refused", "never", "never"};
  const RefundPlan plan = PlanRefunds(orders, stored);
  std::vector<std::int64_t> amounts;
  for (const auto& result : plan.results) amounts.push_back(result.refunded.minor_units);
  EXPECT_THAT(amounts, ElementsAre(5, 5, 0, 0, 0));
  EXPECT_THAT(plan.tombstones, ElementsAre("never"));
  ASSERT_EQ(plan.transfers.size(), 1u);
  EXPECT_EQ(plan.transfers[0].debit_account, 2);
  EXPECT_THAT(plan.postings.wallets, ElementsAre(Pair(10, 5)));
  EXPECT_THAT(plan.postings.system, ElementsAre(Pair(2, -5)));
}

TEST(PlanDeposits, CountsOnceAndRefusesWhatTheWorldCannotOwe) {
  const std::vector<DepositCommand> commands = {{"d1", "anna", {"EUR", 7}}, {"d1", "anna", {"EUR", 7}},
                                                {"d1", "anna", {"EUR", 8}}, {"d2", "nobody", {"EUR", 1}},
                                                {"d3", "anna", {"EUR", 4}}, {"d4", "anna", {"EUR", 3}}};
  const std::int64_t owed = std::numeric_limits<std::int64_t>::min() + 11;
  const DepositPlan plan = PlanDeposits(commands, {}, AnnaHas(100), {{"EUR", {.account_id = 3, .balance = owed}}});
  std::vector<std::pair<DepositOutcome, std::int64_t>> results;
  for (const auto& result : plan.results) results.emplace_back(result.outcome, result.balance);
  EXPECT_THAT(results, ElementsAre(Pair(DepositOutcome::kDeposited, 107), Pair(DepositOutcome::kDeposited, 107),
                                   Pair(DepositOutcome::kMismatch, 0), Pair(DepositOutcome::kUnknownAccount, 0),
                                   Pair(DepositOutcome::kBalanceLimit, 0), Pair(DepositOutcome::kDeposited, 110)));
  EXPECT_EQ(plan.writes.size(), 2u);
}

}  // namespace
}  // namespace flotilla::payment
