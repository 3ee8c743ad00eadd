#include <algorithm>

#include "absl/numeric/int128.h"
#include "payment/domain/action.h"

namespace flotilla::payment {

ActionResult Apply(Work& work, const SettleCommand& command) {
  const Charge* stored = work.Find(command.order_id);
  if (stored != nullptr && stored->settled > 0) return {.amount = {stored->amount.currency, stored->settled}};
  if (const Outcome outcome = CheckCaptured(stored); outcome != Outcome::kDone) return {outcome};

  Charge& charge = work.Change(command.order_id);
  const std::string& currency = charge.amount.currency;
  charge.settled = charge.captured - charge.refunded;
  const auto share = static_cast<std::int64_t>(absl::int128(charge.settled) * work.split.basis_points / 10000);
  charge.fee = std::min(charge.settled, std::max(share, work.split.minimum_fee));
  const std::int64_t escrow = work.system.Find(AccountKind::kEscrow, currency);
  ActionResult result{.amount = {currency, charge.settled}};
  const auto move = [&](TransferKind kind, AccountKind to, std::int64_t amount) {
    if (amount == 0) return;
    const std::size_t index =
        work.Move(kind, escrow, work.system.Find(to, currency), command.order_id, {currency, amount});
    if (!result.transfer.has_value()) result.transfer = index;
  };
  move(TransferKind::kSettle, AccountKind::kMerchant, charge.settled - charge.fee);
  move(TransferKind::kFee, AccountKind::kPlatformFee, charge.fee);
  return result;
}

}  // namespace flotilla::payment
