#include "payment/domain/charge.h"

namespace flotilla::payment {
namespace {

// Moves `amount` (negative: the other way) from a wallet to a system account.
void Post(Postings& postings, std::int64_t wallet, std::int64_t system, std::int64_t amount) {
  std::int64_t& less = postings.wallets[wallet];
  std::int64_t& more = postings.system[system];
  postings.overflow |= __builtin_sub_overflow(less, amount, &less) || __builtin_add_overflow(more, amount, &more);
}

ChargeResult AnswerRepeat(const ChargeCommand& command, const Charge& charge) {
  if (charge.state == ChargeState::kVoided) return {ChargeOutcome::kVoided};
  if (charge.user_id != command.user_id) return {ChargeOutcome::kOtherUser};
  if (charge.amount != command.amount) return {ChargeOutcome::kOtherAmount};
  if (!IsAtOnce(charge)) return {ChargeOutcome::kOtherMethod};
  switch (charge.state) {
    case ChargeState::kCharged:
      return {ChargeOutcome::kCharged, charge.transfer_id};
    case ChargeState::kRefused:
      return {ChargeOutcome::kInsufficientFunds};
    case ChargeState::kRefunded:
      return {ChargeOutcome::kRefunded};
    default:  // states that a charge at once does not come to
      return {ChargeOutcome::kOtherMethod};
  }
}

}  // namespace

ChargePlan PlanCharges(std::span<const ChargeCommand> commands, Charges charges, Wallets wallets,
                       const SystemAccounts& system) {
  ChargePlan plan;
  plan.results.reserve(commands.size());
  plan.writes.reserve(commands.size());
  for (const ChargeCommand& command : commands) {
    if (auto known = charges.find(command.order_id); known != charges.end()) {
      plan.results.push_back(AnswerRepeat(command, known->second));
      continue;
    }
    const auto wallet = wallets.find(WalletKey(command.user_id, command.amount.currency));
    const std::int64_t escrow = system.Find(AccountKind::kEscrow, command.amount.currency);
    if (wallet == wallets.end() || escrow == 0) {
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
         {TransferKind::kCharge, wallet->second.account_id, escrow, command.amount, command.order_id}});
    plan.results.push_back({covered ? ChargeOutcome::kCharged : ChargeOutcome::kInsufficientFunds});
    if (!covered) continue;
    wallet->second.balance -= amount;
    Post(plan.postings, wallet->second.account_id, escrow, amount);
  }
  return plan;
}

}  // namespace flotilla::payment
