// Money from the external world into wallets.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "payment/domain/account.h"

namespace flotilla::payment {

struct DepositCommand {
  std::string deposit_id;
  std::string user_id;
  Money amount;  // 1 to kMaxAmount
};

enum class DepositOutcome {
  kDeposited,
  kUnknownAccount,
  kMismatch,      // this id was used with another wallet or amount
  kBalanceLimit,  // the world would owe more than kMostOwed
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
