#include "payment/domain/action.h"

namespace flotilla::payment {

Charge* Work::Find(const std::string& order_id) {
  const auto it = charges.find(order_id);
  return it == charges.end() ? nullptr : &it->second;
}

Charge& Work::Change(const std::string& order_id) {
  changed.try_emplace(order_id, false);
  return charges.at(order_id);
}

Charge& Work::Create(const std::string& order_id, Charge charge) {
  changed.emplace(order_id, true);
  return charges.insert_or_assign(order_id, std::move(charge)).first->second;
}

std::size_t Work::Move(TransferKind kind, std::int64_t debit, std::int64_t credit, const std::string& order_id,
                       const Money& amount) {
  transfers.push_back({kind, debit, credit, amount, order_id});
  return transfers.size() - 1;
}

void Work::Tell(const std::string& order_id, Notice notice) {
  told.push_back({order_id, notice, ++Change(order_id).event_count});
}

Outcome CheckCaptured(const Charge* charge) {
  if (charge == nullptr) return Outcome::kUnknownCharge;
  switch (charge->state) {
    case ChargeState::kCharged:
      return Outcome::kDone;
    case ChargeState::kRefused:
      return Outcome::kRefused;
    case ChargeState::kRefunded:
      return Outcome::kRefunded;
    case ChargeState::kVoided:
      return Outcome::kVoided;
    case ChargeState::kAuthorized:
      return Outcome::kNotCaptured;
    case ChargeState::kAwaiting:
      return Outcome::kNotPaid;
    case ChargeState::kExpired:
      return charge->method == PaymentMethod::kWallet ? Outcome::kExpired : Outcome::kPaymentExpired;
  }
  return Outcome::kUnknownCharge;
}

bool IsGoodExpiry(const Work& work, absl::Time expires_at) {
  return expires_at > work.now && expires_at <= work.now + kMaxExpiry;
}

}  // namespace flotilla::payment
