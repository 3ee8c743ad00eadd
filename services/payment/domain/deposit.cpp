#include "payment/domain/deposit.h"

namespace flotilla::payment {

DepositPlan PlanDeposits(std::span<const DepositCommand> commands, Deposits deposits, Wallets wallets,
                         absl::flat_hash_map<std::string, Wallet> world) {
  DepositPlan plan;
  plan.results.reserve(commands.size());
  for (const DepositCommand& command : commands) {
    const auto wallet = wallets.find(WalletKey(command.user_id, command.amount.currency));
    if (auto known = deposits.find(command.deposit_id); known != deposits.end()) {
      const bool same = known->second.user_id == command.user_id && known->second.amount == command.amount;
      plan.results.push_back(same && wallet != wallets.end()
                                 ? DepositResult{DepositOutcome::kDeposited, wallet->second.balance}
                                 : DepositResult{DepositOutcome::kMismatch});
      continue;
    }
    const auto from = world.find(command.amount.currency);
    if (wallet == wallets.end() || from == world.end()) {
      plan.results.push_back({DepositOutcome::kUnknownAccount});
      continue;
    }
    const std::int64_t amount = command.amount.minor_units;
    if (from->second.balance < amount - kMostOwed) {
      plan.results.push_back({DepositOutcome::kBalanceLimit});
      continue;
    }
    from->second.balance -= amount;
    const std::int64_t balance = wallet->second.balance += amount;
    deposits.emplace(command.deposit_id, StoredDeposit{command.user_id, command.amount});
    plan.writes.push_back({&command,
                           {TransferKind::kDeposit, from->second.account_id, wallet->second.account_id, command.amount,
                            command.deposit_id}});
    // The balances above bound the sums.
    plan.postings.wallets[wallet->second.account_id] += amount;
    plan.postings.system[from->second.account_id] -= amount;
    plan.results.push_back({DepositOutcome::kDeposited, balance});
  }
  return plan;
}

}  // namespace flotilla::payment
