// Accounts and transfers between them.
//
// Sign convention: a transfer lowers the debited account's balance and raises the credited one's, so that all balances
// of a currency add up to 0. The external world and the provider's clearing account go negative by what they owe or
// paid in; nobody else goes below 0.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace flotilla::payment {

inline constexpr std::int64_t kMaxAmount = 1'000'000'000'000'000;  // minor units, of one charge or deposit
// World and provider go no further below 0. All others hold what these two owe, so no sum of balances leaves 64 bits,
// even where several instances take payments up to the limit at once.
inline constexpr std::int64_t kMostOwed = 1000 * kMaxAmount;

// Values as stored; never renumber.
enum class AccountKind : int {
  kWallet = 1,
  kEscrow = 2,       // charged, not settled yet
  kWorld = 3,        // may go negative
  kHold = 4,         // authorized, neither captured nor released yet
  kMerchant = 5,     // settled
  kPlatformFee = 6,  // settled
  kProvider = 7,     // what the external provider owes us, negative; may go negative
};
enum class TransferKind : int {
  kDeposit = 1,          // world to wallet
  kCharge = 2,           // wallet to escrow
  kRefund = 3,           // escrow to payer
  kAuthorize = 4,        // wallet to hold
  kCapture = 5,          // hold to escrow
  kRelease = 6,          // hold to wallet
  kExternal = 7,         // provider to escrow
  kSettle = 8,           // escrow to merchant
  kFee = 9,              // escrow to platform
  kMerchantRefund = 10,  // merchant to payer
  kFeeRefund = 11,       // platform to payer
  kCorrection = 12,      // an operator's, between provider and world
};

// Every account kind but the users' wallets: one account a currency, owned by the fleet.
struct SystemKind {
  AccountKind kind;
  std::string_view owner;
};
inline constexpr SystemKind kSystemKinds[] = {
    {AccountKind::kEscrow, "escrow"},     {AccountKind::kWorld, "world"},          {AccountKind::kHold, "hold"},
    {AccountKind::kMerchant, "merchant"}, {AccountKind::kPlatformFee, "platform"}, {AccountKind::kProvider, "provider"},
};

struct Money {
  std::string currency;
  std::int64_t minor_units = 0;
  auto operator<=>(const Money&) const = default;
};

struct Wallet {
  std::int64_t account_id = 0;
  std::int64_t balance = 0;
};
using WalletKey = std::pair<std::string, std::string>;  // user, currency
using Wallets = absl::flat_hash_map<WalletKey, Wallet>;

// Ids of the fleet's own accounts, as far as known. They exist wherever a wallet in their currency does.
class SystemAccounts {
 public:
  void Add(AccountKind kind, std::string currency, std::int64_t account_id);
  // 0 where it is not known.
  std::int64_t Find(AccountKind kind, const std::string& currency) const;
  bool Holds(std::int64_t account_id) const { return ids_.contains(account_id); }

 private:
  absl::flat_hash_map<std::pair<AccountKind, std::string>, std::int64_t> accounts_;
  absl::flat_hash_set<std::int64_t> ids_;
};

// What each account gains or loses, ordered by account id. System accounts apart: hot rows, to be locked last.
struct Postings {
  std::map<std::int64_t, std::int64_t> wallets;
  std::map<std::int64_t, std::int64_t> system;
  bool overflow = false;  // the sums leave 64 bits: nothing may be written
};

// A new row of the ledger.
struct Transfer {
  TransferKind kind;
  std::int64_t debit_account;
  std::int64_t credit_account;
  Money amount;
  std::string reference;  // order, deposit or difference id
};

Postings Sum(std::span<const Transfer> transfers, const SystemAccounts& system);

}  // namespace flotilla::payment
