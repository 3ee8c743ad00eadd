// Authorize, capture, void, expire.
#include "payment/domain/action.h"

namespace flotilla::payment {
namespace {

// A wallet's money goes back from hold. The charge's state is the caller's.
std::size_t Release(Work& work, const std::string& order_id, const Charge& charge, std::int64_t minor_units) {
  const std::string& currency = charge.amount.currency;
  return work.Move(TransferKind::kRelease, work.system.Find(AccountKind::kHold, currency), charge.payer_account,
                   order_id, {currency, minor_units});
}

ActionResult AnswerRepeat(const Charge& charge, const AuthorizeCommand& command) {
  if (charge.state == ChargeState::kVoided) return {Outcome::kVoided};
  if (charge.user_id != command.user_id) return {Outcome::kOtherUser};
  if (charge.amount != command.amount) return {Outcome::kOtherAmount};
  if (charge.method != PaymentMethod::kWallet || IsAtOnce(charge)) return {Outcome::kOtherMethod};
  switch (charge.state) {
    case ChargeState::kAuthorized:
    case ChargeState::kCharged:  // captured meanwhile
      return {.amount = charge.amount,
              .transfer_id = charge.transfer_id,
              .expires_at = charge.expires_at,
              .transfer = charge.transfer};
    case ChargeState::kRefunded:
      return {Outcome::kRefunded};
    case ChargeState::kExpired:
      return {Outcome::kExpired};
    default:
      return {Outcome::kInsufficientFunds};
  }
}

}  // namespace

ActionResult Apply(Work& work, const AuthorizeCommand& command) {
  if (const Charge* charge = work.Find(command.order_id); charge != nullptr) return AnswerRepeat(*charge, command);
  if (!IsGoodExpiry(work, command.expires_at)) return {Outcome::kBadExpiry};
  const auto wallet = work.wallets.find(WalletKey(command.user_id, command.amount.currency));
  const std::int64_t hold = work.system.Find(AccountKind::kHold, command.amount.currency);
  if (wallet == work.wallets.end() || hold == 0) return {Outcome::kUnknownAccount};
  const std::int64_t amount = command.amount.minor_units;
  Charge charge{.state = ChargeState::kRefused,
                .user_id = command.user_id,
                .amount = command.amount,
                .expires_at = command.expires_at};
  if (wallet->second.balance < amount) {
    charge.reason = "INSUFFICIENT_FUNDS";
    work.Create(command.order_id, std::move(charge));
    return {Outcome::kInsufficientFunds};
  }
  wallet->second.balance -= amount;
  charge.state = ChargeState::kAuthorized;
  charge.payer_account = wallet->second.account_id;
  charge.transfer =
      work.Move(TransferKind::kAuthorize, wallet->second.account_id, hold, command.order_id, command.amount);
  const auto transfer = work.Create(command.order_id, std::move(charge)).transfer;
  return {.amount = command.amount, .expires_at = command.expires_at, .transfer = transfer};
}

ActionResult Apply(Work& work, const CaptureCommand& command) {
  const Charge* stored = work.Find(command.order_id);
  if (stored == nullptr) return {Outcome::kUnknownCharge};
  if (stored->method == PaymentMethod::kExternal) return {Outcome::kNotAuthorized};
  const std::string& currency = stored->amount.currency;
  if (command.amount.has_value() && stored->state != ChargeState::kVoided && command.amount->currency != currency) {
    return {Outcome::kCurrencyMismatch};
  }
  const std::int64_t amount = command.amount.has_value() ? command.amount->minor_units : stored->amount.minor_units;
  switch (stored->state) {
    case ChargeState::kAuthorized:
      break;
    case ChargeState::kCharged:
    case ChargeState::kRefunded:
      if (amount != stored->captured) return {Outcome::kCaptureMismatch};
      return {.amount = {currency, amount}, .transfer_id = stored->transfer_id, .transfer = stored->transfer};
    case ChargeState::kExpired:
      return {Outcome::kExpired};
    case ChargeState::kRefused:
      return {Outcome::kRefused};
    case ChargeState::kAwaiting:  // of external payments
      return {Outcome::kNotAuthorized};
    case ChargeState::kVoided:
      return {Outcome::kVoided};
  }
  // The sweeper may be late; a time that has run out counts all the same.
  if (stored->expires_at <= work.now) return {Outcome::kExpired};
  if (amount > stored->amount.minor_units) return {Outcome::kExceedsAuthorized};
  Charge& charge = work.Change(command.order_id);
  charge.state = ChargeState::kCharged;
  charge.captured = amount;
  ActionResult result{.amount = {currency, amount}, .transfer_id = charge.transfer_id, .transfer = charge.transfer};
  work.Move(TransferKind::kCapture, work.system.Find(AccountKind::kHold, currency),
            work.system.Find(AccountKind::kEscrow, currency), command.order_id, result.amount);
  const std::int64_t rest = charge.amount.minor_units - amount;
  if (rest > 0) Release(work, command.order_id, charge, rest);
  return result;
}

ActionResult Apply(Work& work, const VoidCommand& command) {
  const Charge* stored = work.Find(command.order_id);
  if (stored == nullptr) {
    work.Create(command.order_id, {.state = ChargeState::kVoided});
    return {};
  }
  switch (stored->state) {
    case ChargeState::kCharged:
    case ChargeState::kRefunded:
      return {Outcome::kAlreadyCaptured};
    case ChargeState::kAuthorized: {
      Charge& charge = work.Change(command.order_id);
      charge.state = ChargeState::kVoided;
      return {.amount = charge.amount, .transfer = Release(work, command.order_id, charge, charge.amount.minor_units)};
    }
    case ChargeState::kAwaiting:
      work.Change(command.order_id).state = ChargeState::kVoided;
      return {};
    case ChargeState::kVoided:
    case ChargeState::kExpired:  // the first answer: what was held went back
      return {.amount = stored->transfer_id > 0 || stored->transfer.has_value() ? stored->amount : Money{}};
    case ChargeState::kRefused:
      return {};
  }
  return {};
}

ActionResult Apply(Work& work, const ExpireCommand& command) {
  const Charge* stored = work.Find(command.order_id);
  if (stored == nullptr || stored->expires_at > work.now) return {};
  if (stored->state == ChargeState::kAuthorized) {
    Charge& charge = work.Change(command.order_id);
    charge.state = ChargeState::kExpired;
    return {.amount = charge.amount, .transfer = Release(work, command.order_id, charge, charge.amount.minor_units)};
  }
  if (stored->state == ChargeState::kAwaiting) {
    work.Change(command.order_id).state = ChargeState::kExpired;
    work.Tell(command.order_id, Notice::kExpired);
  }
  return {};
}

}  // namespace flotilla::payment
