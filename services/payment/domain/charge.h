// A charge: one order's money, from the payer to escrow and on. Pure functions over values; the store reads the values,
// writes what the plan says and holds the locks in between.
//
//   Charge:     none -> CHARGED | REFUSED                            at once, the hot path
//   Authorize:  none -> AUTHORIZED | REFUSED; Capture -> CHARGED, Void -> VOIDED, its time runs out -> EXPIRED
//   external:   none -> AWAITING; the provider's word -> CHARGED | REFUSED, Void -> VOIDED, out of time -> EXPIRED
//   Refund:     CHARGED -> REFUNDED once all that was captured went back; none -> VOIDED, a tombstone
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "payment/domain/account.h"

namespace flotilla::payment {

// Values as stored; never renumber.
enum class ChargeState : int {
  kCharged = 1,
  kRefused = 2,  // a repeat is refused again, whatever the balance is then
  kRefunded = 3,
  kVoided = 4,  // without a user: a tombstone, the refund or void came before the charge
  kAuthorized = 5,
  kAwaiting = 6,  // of the external provider
  kExpired = 7,
};

enum class PaymentMethod : int { kWallet = 1, kExternal = 2 };

// A stored charge; a tombstone has neither user nor amount.
struct Charge {
  ChargeState state = ChargeState::kVoided;
  PaymentMethod method = PaymentMethod::kWallet;
  std::string user_id = {};
  Money amount = {};          // asked for
  std::int64_t captured = 0;  // of `amount`, moved to escrow
  std::int64_t refunded = 0;  // of `captured`, given back
  std::int64_t settled = 0;   // split between merchant and platform; 0: not yet
  std::int64_t fee = 0;       // of `settled`, the platform's part
  std::int64_t fee_refunded = 0;
  std::string reason = {};                       // of kRefused, and of a failure told after the end
  std::string reference = {};                    // what the external provider knows it by
  absl::Time expires_at = absl::InfinitePast();  // of an authorization, or of waiting for the provider
  std::int64_t transfer_id = 0;                  // that took the money from the payer
  std::optional<std::size_t> transfer = {};      // index in Work::transfers of one that has no id yet
  std::int64_t payer_account = 0;                // its debited account
  int event_count = 0;                           // events that tell of this charge
};
using Charges = absl::flat_hash_map<std::string, Charge>;  // by order id

// Whether it was paid, or refused, at once: neither authorized before nor for the external provider to pay.
inline bool IsAtOnce(const Charge& charge) {
  return charge.method == PaymentMethod::kWallet && charge.expires_at == absl::InfinitePast();
}

struct ChargeCommand {
  std::string order_id;  // UUID, lower case
  std::string user_id;
  Money amount;  // 1 to kMaxAmount
};

enum class ChargeOutcome {
  kCharged,
  kInsufficientFunds,  // stored
  kUnknownAccount,     // nothing is written
  kVoided,
  kRefunded,
  kOtherUser,  // than the first time, like the next two
  kOtherAmount,
  kOtherMethod,  // it was authorized, or is for the external provider to pay
};

struct ChargeResult {
  ChargeOutcome outcome;
  std::int64_t transfer_id = 0;  // of kCharged
};

struct ChargePlan {
  struct Write {
    const ChargeCommand* command;
    ChargeState state;  // kCharged or kRefused
    Transfer transfer;  // of kCharged
  };
  // One a command. A charge that this plan makes has no transfer id yet, and neither have its repeats in the batch.
  std::vector<ChargeResult> results;
  std::vector<Write> writes;  // by arrival
  Postings postings;
};

// Decides in order of arrival, each command seeing what those before it took. The commands outlive the plan.
ChargePlan PlanCharges(std::span<const ChargeCommand> commands, Charges charges, Wallets wallets,
                       const SystemAccounts& system);

}  // namespace flotilla::payment
