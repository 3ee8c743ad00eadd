#include "payment/domain/ledger.h"

#include <limits>

namespace flotilla::payment {
namespace {

bool Same(const Money& a, const Money& b) { return a.minor_units == b.minor_units && a.currency == b.currency; }

// Moves `amount` (negative: the other way) from a wallet to a system account.
void Post(Postings& postings, std::int64_t wallet, std::int64_t system, std::int64_t amount) {
  std::int64_t& less = postings.wallets[wallet];
  std::int64_t& more = postings.system[system];
  postings.overflow |= __builtin_sub_overflow(less, amount, &less) || __builtin_add_overflow(more, amount, &more);
}

ChargeResult AnswerRepeat(const ChargeCommand& command, const Charge& charge) {
  if (charge.state == ChargeState::kVoided) return {ChargeOutcome::kVoided};
  if (charge.user_id != command.user_id || !Same(charge.amount, command.amount)) return {ChargeOutcome::kMismatch};
  switch (charge.state) {
    case ChargeState::kCharged:
      return {ChargeOutcome::kCharged, charge.transfer_id};
    case ChargeState::kRefused:
      return {ChargeOutcome::kInsufficientFunds};
    default:
      return {ChargeOutcome::kRefunded};
  }
}

}  // namespace

ChargePlan PlanCharges(std::span<const ChargeCommand> commands, Charges charges, Wallets wallets,
                       const SystemAccounts& escrow) {
  ChargePlan plan;
  plan.results.reserve(commands.size());
  plan.writes.reserve(commands.size());
  for (const ChargeCommand& command : commands) {
    if (auto known = charges.find(command.order_id); known != charges.end()) {
      plan.results.push_back(AnswerRepeat(command, known->second));
      continue;
    }
    const auto wallet = wallets.find(WalletKey(command.user_id, command.amount.currency));
    const auto to = escrow.find(command.amount.currency);
    if (wallet == wallets.end() || to == escrow.end()) {
      plan.results.push_back({ChargeOutcome::kUnknownAccount});
      continue;
    }
    const std::int64_t amount = command.amount.minor_units;
    const bool covered = wallet->second.balance >= amount;
    const ChargeState state = covered ? ChargeState::kCharged : ChargeState::kRefused;
    charges.emplace(command.order_id, Charge{.state = state, .user_id = command.user_id, .amount = command.amount});
    plan.writes.push_back(
        {&command,
         state,
         {TransferKind::kCharge, wallet->second.account_id, to->second, command.amount, command.order_id}});
    plan.results.push_back({covered ? ChargeOutcome::kCharged : ChargeOutcome::kInsufficientFunds});
    if (!covered) continue;
    wallet->second.balance -= amount;
    Post(plan.postings, wallet->second.account_id, to->second, amount);
  }
  return plan;
}

RefundPlan PlanRefunds(std::span<const std::string> order_ids, Charges charges) {
  RefundPlan plan;
  plan.results.reserve(order_ids.size());
  for (const std::string& order_id : order_ids) {
    const auto [it, unknown] = charges.try_emplace(order_id, Charge{.state = ChargeState::kVoided});
    Charge& charge = it->second;
    if (unknown) plan.tombstones.push_back(order_id);
    if (charge.state == ChargeState::kCharged) {
      charge.state = ChargeState::kRefunded;
      plan.transfers.push_back(
          {TransferKind::kRefund, charge.escrow_account, charge.wallet_account, charge.amount, order_id});
      Post(plan.postings, charge.wallet_account, charge.escrow_account, -charge.amount.minor_units);
    }
    // A refused or voided charge moved nothing, so there is nothing to give back.
    plan.results.push_back({charge.state == ChargeState::kRefunded ? charge.amount : Money{}});
  }
  return plan;
}

DepositPlan PlanDeposits(std::span<const DepositCommand> commands, Deposits deposits, Wallets wallets,
                         absl::flat_hash_map<std::string, Wallet> world) {
  DepositPlan plan;
  plan.results.reserve(commands.size());
  for (const DepositCommand& command : commands) {
    const auto wallet = wallets.find(WalletKey(command.user_id, command.amount.currency));
    if (auto known = deposits.find(command.deposit_id); known != deposits.end()) {
      const bool same = known->second.user_id == command.user_id && Same(known->second.amount, command.amount);
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
    std::int64_t left;
    std::int64_t balance;
    if (__builtin_sub_overflow(from->second.balance, amount, &left) ||
        left == std::numeric_limits<std::int64_t>::min() ||
        __builtin_add_overflow(wallet->second.balance, amount, &balance)) {
      plan.results.push_back({DepositOutcome::kBalanceLimit});
      continue;
    }
    from->second.balance = left;
    wallet->second.balance = balance;
    deposits.emplace(command.deposit_id, StoredDeposit{command.user_id, command.amount});
    plan.writes.push_back({&command,
                           {TransferKind::kDeposit, from->second.account_id, wallet->second.account_id, command.amount,
                            command.deposit_id}});
    Post(plan.postings, wallet->second.account_id, from->second.account_id, -amount);
    plan.results.push_back({DepositOutcome::kDeposited, balance});
  }
  return plan;
}

}  // namespace flotilla::payment
