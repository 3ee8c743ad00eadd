// The rules of the ledger: what a batch of charges, refunds or deposits comes to, given what is already stored. Pure
// functions over values; the store reads the values, writes what the plan says and holds the locks in between.
//
// Sign convention: a transfer lowers the debited account's balance and raises the credited one's, so that all balances
// of a currency add up to 0. The external world goes negative by what it paid in; nobody else goes below 0. As every
// other balance is at least 0 and the world is kept above -2^63, no sum of balances can overflow.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace flotilla::payment {

inline constexpr std::int64_t kMaxAmount = 1'000'000'000'000'000;  // minor units, of one charge or deposit

// Values as stored; never renumber.
enum class AccountKind : int { kWallet = 1, kEscrow = 2, kWorld = 3 };
enum class TransferKind : int { kDeposit = 1, kCharge = 2, kRefund = 3 };
enum class ChargeState : int {
  kCharged = 1,
  kRefused = 2,  // a repeat is refused again, whatever the balance is then
  kRefunded = 3,
  kVoided = 4,  // tombstone: the refund came before the charge
};

struct Money {
  std::string currency;
  std::int64_t minor_units = 0;
};

struct Wallet {
  std::int64_t account_id = 0;
  std::int64_t balance = 0;
};
using WalletKey = std::pair<std::string, std::string>;  // user, currency
using Wallets = absl::flat_hash_map<WalletKey, Wallet>;
// The fleet's own account of one kind, by currency. Exists wherever a wallet in that currency does.
using SystemAccounts = absl::flat_hash_map<std::string, std::int64_t>;

// What each account gains or loses, ordered by account id. System accounts apart: hot rows, to be locked last.
struct Postings {
  std::map<std::int64_t, std::int64_t> wallets;
  std::map<std::int64_t, std::int64_t> system;
  bool overflow = false;  // the stored balances break the rule above: nothing may be written
};

// A new row of the ledger.
struct Transfer {
  TransferKind kind;
  std::int64_t debit_account;
  std::int64_t credit_account;
  Money amount;
  std::string reference;  // order or deposit id
};

// ---- charges

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
  kMismatch,  // another user or amount than the first time
};

struct ChargeResult {
  ChargeOutcome outcome;
  std::int64_t transfer_id = 0;  // of kCharged
};

// A stored charge; a tombstone has neither user nor amount.
struct Charge {
  ChargeState state;
  std::string user_id = {};
  Money amount = {};
  std::int64_t transfer_id = 0;
  // Of the transfer, for its reversal; filled for refunds only.
  std::int64_t wallet_account = 0;
  std::int64_t escrow_account = 0;
};
using Charges = absl::flat_hash_map<std::string, Charge>;  // by order id

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
                       const SystemAccounts& escrow);

// ---- refunds

struct RefundResult {
  Money refunded;  // 0 where nothing was ever charged
};

struct RefundPlan {
  std::vector<RefundResult> results;    // one an order
  std::vector<Transfer> transfers;      // reversals; the reference is the order
  std::vector<std::string> tombstones;  // orders never charged
  Postings postings;
};

RefundPlan PlanRefunds(std::span<const std::string> order_ids, Charges charges);

// ---- deposits

struct DepositCommand {
  std::string deposit_id;
  std::string user_id;
  Money amount;  // 1 to kMaxAmount
};

enum class DepositOutcome {
  kDeposited,
  kUnknownAccount,
  kMismatch,      // this id was used with another wallet or amount
  kBalanceLimit,  // the currency's total would leave 64 bits
};

struct DepositResult {
  DepositOutcome outcome;
  std::int64_t balance = 0;  // of kDeposited: the wallet's
};

struct StoredDeposit {
  std::string user_id;
  Money amount;
};
using Deposits = absl::flat_hash_map<std::string, StoredDeposit>;  // by deposit id

struct DepositPlan {
  struct Write {
    const DepositCommand* command;
    Transfer transfer;
  };
  std::vector<DepositResult> results;  // one a command
  std::vector<Write> writes;
  Postings postings;
};

// `world`: account and balance of the external world by currency.
DepositPlan PlanDeposits(std::span<const DepositCommand> commands, Deposits deposits, Wallets wallets,
                         absl::flat_hash_map<std::string, Wallet> world);

}  // namespace flotilla::payment
