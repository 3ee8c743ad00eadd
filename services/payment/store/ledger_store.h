// Wallets, charges and deposits in PostgreSQL: the hot path. One method is one transaction over a whole batch, with one
// multi-row statement a table. Blocking and single-threaded: one object a worker thread. Any number of them may work on
// one database.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "payment/domain/charge.h"
#include "payment/domain/deposit.h"
#include "postgres/session.h"

namespace flotilla::payment {

class LedgerStore {
 public:
  explicit LedgerStore(postgres::Options options) : session_(std::move(options)) {}

  // Each answers in the order of its argument. An error is the whole batch's: see Session::Transact for what it means.
  // Everything may be asked again: a repeat gets the first answer.
  absl::StatusOr<std::vector<ChargeResult>> Charge(std::span<const ChargeCommand> commands);
  absl::StatusOr<std::vector<DepositResult>> Deposit(std::span<const DepositCommand> commands);
  // Opens wallets and, where they are missing, the system accounts of their currencies. Balances in minor units.
  absl::StatusOr<std::vector<std::int64_t>> Open(std::span<const WalletKey> keys);
  // Wallets that exist.
  absl::StatusOr<Wallets> Read(std::span<const WalletKey> keys);

 private:
  postgres::Session session_;
  SystemAccounts system_;
};

}  // namespace flotilla::payment
