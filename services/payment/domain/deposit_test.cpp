#include "payment/domain/deposit.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::payment {
namespace {

using testing::ElementsAre;
using testing::Pair;

Wallets AnnaHas(std::int64_t balance) { return {{{"anna", "EUR"}, {.account_id = 10, .balance = balance}}}; }

TEST(PlanDeposits, CountsOnceAndRefusesWhatTheWorldCannotOwe) {
  const std::vector<DepositCommand> commands = {{"d1", "anna", {"EUR", 7}}, {"d1", "anna", {"EUR", 7}},
                                                {"d1", "anna", {"EUR", 8}}, {"d2", "nobody", {"EUR", 1}},
                                                {"d3", "anna", {"EUR", 4}}, {"d4", "anna", {"EUR", 3}}};
  const std::int64_t owed = 10 - kMostOwed;
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
