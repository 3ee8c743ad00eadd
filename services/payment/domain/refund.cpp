#include "absl/numeric/int128.h"
#include "payment/domain/action.h"

namespace flotilla::payment {
namespace {

// Moves `minor_units` back to the payer: from escrow, or, once settled, from merchant and platform in proportion. The
// platform's part is that of everything given back so far less what it gave already, so roundings never add up, and
// the last refund takes exactly the rest.
std::size_t GiveBack(Work& work, const std::string& order_id, Charge& charge, std::int64_t minor_units) {
  const std::string& currency = charge.amount.currency;
  const auto move = [&](TransferKind kind, AccountKind from, std::int64_t amount) {
    return work.Move(kind, work.system.Find(from, currency), charge.payer_account, order_id, {currency, amount});
  };
  charge.refunded += minor_units;
  if (charge.refunded == charge.captured) charge.state = ChargeState::kRefunded;
  if (charge.settled == 0) return move(TransferKind::kRefund, AccountKind::kEscrow, minor_units);
  const std::int64_t since = charge.refunded - (charge.captured - charge.settled);  // the settlement
  const auto fee_back =
      static_cast<std::int64_t>(absl::int128(charge.fee) * absl::int128(since) / absl::int128(charge.settled));
  const std::int64_t fee_part = fee_back - charge.fee_refunded;
  charge.fee_refunded = fee_back;
  std::optional<std::size_t> first;
  if (minor_units > fee_part) {
    first = move(TransferKind::kMerchantRefund, AccountKind::kMerchant, minor_units - fee_part);
  }
  if (fee_part == 0) return *first;
  const std::size_t fee = move(TransferKind::kFeeRefund, AccountKind::kPlatformFee, fee_part);
  return first.value_or(fee);
}

ActionResult Answer(const Refund& refund) {
  return {.amount = refund.amount, .transfer_id = refund.transfer_id, .transfer = refund.transfer};
}

// Records and answers one refund of a charge that has `minor_units` left.
ActionResult Make(Work& work, const RefundCommand& command, std::int64_t minor_units) {
  Charge& charge = work.Change(command.order_id);
  Refund refund{.amount = {charge.amount.currency, minor_units}};
  refund.transfer = GiveBack(work, command.order_id, charge, minor_units);
  const RefundKey key(command.order_id, command.refund_id);
  for (auto it = work.refunds.lower_bound(RefundKey(command.order_id, ""));
       it != work.refunds.end() && it->first.first == command.order_id; ++it) {
    it->second.last = false;
  }
  work.refunds.emplace(key, refund);
  work.new_refunds.emplace(key, refund);
  return Answer(refund);
}

// All that is left, whatever the charge has come to.
ActionResult RefundAll(Work& work, const RefundCommand& command) {
  const Charge* charge = work.Find(command.order_id);
  if (charge == nullptr || charge->state != ChargeState::kCharged) {
    const ActionResult voided = Apply(work, VoidCommand{command.order_id});
    return voided.outcome == Outcome::kDone ? voided : ActionResult();  // REFUNDED by others: nothing is left
  }
  return Make(work, command, charge->captured - charge->refunded);
}

}  // namespace

ActionResult Apply(Work& work, const RefundCommand& command) {
  const auto known = work.refunds.find(RefundKey(command.order_id, command.refund_id));
  if (known != work.refunds.end()) {
    // One without an amount left nothing for another to give back.
    const bool same = command.amount.has_value()
                          ? *command.amount == known->second.amount
                          : known->second.last && work.Find(command.order_id)->state == ChargeState::kRefunded;
    return same ? Answer(known->second) : ActionResult{Outcome::kRefundMismatch};
  }
  if (command.refund_id.empty()) return RefundAll(work, command);
  const Charge* charge = work.Find(command.order_id);
  if (const Outcome outcome = CheckCaptured(charge); outcome != Outcome::kDone) return {outcome};
  const std::int64_t left = charge->captured - charge->refunded;
  if (!command.amount.has_value()) return Make(work, command, left);
  if (command.amount->currency != charge->amount.currency) return {Outcome::kCurrencyMismatch};
  if (command.amount->minor_units > left) return {Outcome::kExceedsCaptured};
  return Make(work, command, command.amount->minor_units);
}

}  // namespace flotilla::payment
