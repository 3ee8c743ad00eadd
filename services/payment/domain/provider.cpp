// Payments by the external provider: waiting for its word, and what the word does.
#include "payment/domain/action.h"

namespace flotilla::payment {
namespace {

constexpr char kFailed[] = "PAYMENT_FAILED";

bool MayOwe(const Work& work, const Money& more) {
  const auto balance = work.provider_balances.find(more.currency);
  return balance == work.provider_balances.end() || balance->second >= more.minor_units - kMostOwed;
}

// The provider has the money: it owes it to us, and escrow holds it.
std::size_t Receive(Work& work, const std::string& order_id, Charge& charge) {
  const std::string& currency = charge.amount.currency;
  work.provider_balances[currency] -= charge.amount.minor_units;
  charge.payer_account = work.system.Find(AccountKind::kProvider, currency);
  charge.captured = charge.amount.minor_units;
  charge.state = ChargeState::kCharged;
  const std::size_t transfer = work.Move(TransferKind::kExternal, charge.payer_account,
                                         work.system.Find(AccountKind::kEscrow, currency), order_id, charge.amount);
  charge.transfer = transfer;
  return transfer;
}

// Paid for nothing: the order was given up before. In and out again, so that the ledger knows of it.
ActionResult RefundLate(Work& work, const std::string& order_id) {
  const std::size_t in = Receive(work, order_id, work.Change(order_id));
  work.provider_balances[work.charges.at(order_id).amount.currency] += work.charges.at(order_id).amount.minor_units;
  Apply(work, RefundCommand{order_id, "late"});
  work.Tell(order_id, Notice::kLateRefunded);
  if (work.charges.at(order_id).reason == kFailed) work.Tell(order_id, Notice::kConflict);
  return {.amount = work.charges.at(order_id).amount, .transfer = in};
}

// A word that does not fit is not taken, so that the provider may correct itself under the same event id, but told
// once.
ActionResult Dispute(Work& work, const std::string& order_id, ProviderWord word, Notice notice, Outcome outcome) {
  if (work.disputes.insert(word).second) {
    work.new_disputes.push_back(std::move(word));
    work.Tell(order_id, notice);
  }
  return {outcome};
}

}  // namespace

ActionResult Apply(Work& work, const AwaitCommand& command) {
  if (const Charge* charge = work.Find(command.order_id); charge != nullptr) {
    if (charge->state == ChargeState::kVoided) return {Outcome::kVoided};
    if (charge->user_id != command.user_id) return {Outcome::kOtherUser};
    if (charge->amount != command.amount) return {Outcome::kOtherAmount};
    if (charge->method != PaymentMethod::kExternal) return {Outcome::kOtherMethod};
    return {.amount = charge->amount, .reference = charge->reference, .expires_at = charge->expires_at};
  }
  if (!IsGoodExpiry(work, command.expires_at)) return {Outcome::kBadExpiry};
  if (work.system.Find(AccountKind::kProvider, command.amount.currency) == 0) return {Outcome::kUnknownAccount};
  work.Create(command.order_id, {.state = ChargeState::kAwaiting,
                                 .method = PaymentMethod::kExternal,
                                 .user_id = command.user_id,
                                 .amount = command.amount,
                                 .reference = command.reference,
                                 .expires_at = command.expires_at});
  return {.amount = command.amount, .reference = command.reference, .expires_at = command.expires_at};
}

ActionResult Apply(Work& work, const CallbackCommand& command) {
  const auto order = work.orders_by_reference.find(command.reference);
  if (order == work.orders_by_reference.end()) return {Outcome::kUnknownReference};
  const std::string& order_id = order->second;
  const ProviderEvent event{order_id, command.succeeded, command.amount};
  if (const auto seen = work.provider_events.find(command.event_id); seen != work.provider_events.end()) {
    if (seen->second == event) return {};
    return Dispute(work, order_id, {command.event_id, event}, Notice::kConflict, Outcome::kEventReused);
  }
  const Charge& charge = work.charges.at(order_id);
  if (charge.amount != command.amount) {
    return Dispute(work, order_id, {command.event_id, event}, Notice::kWrongAmount, Outcome::kAmountMismatch);
  }
  const bool in_time = charge.state == ChargeState::kAwaiting && charge.expires_at > work.now;
  if (in_time && command.succeeded && !MayOwe(work, command.amount)) return {Outcome::kBalanceLimit};
  work.provider_events.emplace(command.event_id, event);
  work.new_provider_events.emplace_back(command.event_id, event);

  if (in_time && command.succeeded) {
    const std::size_t transfer = Receive(work, order_id, work.Change(order_id));
    work.Tell(order_id, Notice::kSucceeded);
    return {.amount = charge.amount, .transfer = transfer};
  }
  if (charge.state == ChargeState::kAwaiting && !command.succeeded) {
    Charge& refused = work.Change(order_id);
    refused.state = ChargeState::kRefused;
    refused.reason = kFailed;
    work.Tell(order_id, Notice::kFailed);
    return {};
  }
  switch (charge.state) {
    case ChargeState::kAwaiting:  // its time has run out, and the sweeper has not come yet
      Apply(work, ExpireCommand{order_id});
      return RefundLate(work, order_id);
    case ChargeState::kVoided:
    case ChargeState::kExpired:
      if (command.succeeded) return RefundLate(work, order_id);
      work.Change(order_id).reason = kFailed;
      return {};
    default: {
      // The provider's first word stands: charged (whatever was refunded since) or refused.
      const bool succeeded_first = charge.state != ChargeState::kRefused;
      if (succeeded_first != command.succeeded) work.Tell(order_id, Notice::kConflict);
      return {};
    }
  }
}

}  // namespace flotilla::payment
