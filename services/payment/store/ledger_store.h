// The ledger in PostgreSQL. One method is one transaction over a whole batch, with one multi-row statement a table.
// Blocking and single-threaded: one object a worker thread. Any number of them may work on one database.
//
// Locks are taken in one order everywhere: stored charges (refunds only), wallets by account id, the keys of new
// charges, and last, for the shortest time, the system accounts, which every batch wants. A deposit locks the world
// before its own keys.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "payment/domain/ledger.h"
#include "postgres/session.h"

namespace flotilla::payment {

class LedgerStore {
 public:
  explicit LedgerStore(postgres::Options options) : session_(std::move(options)) {}

  // Each answers in the order of its argument. An error is the whole batch's: see Session::Transact for what it means.
  // Everything may be asked again: a repeat gets the first answer.
  absl::StatusOr<std::vector<ChargeResult>> Charge(std::span<const ChargeCommand> commands);
  absl::StatusOr<std::vector<RefundResult>> Refund(std::span<const std::string> order_ids);
  absl::StatusOr<std::vector<DepositResult>> Deposit(std::span<const DepositCommand> commands);
  // Opens wallets and, where they are missing, the system accounts of their currencies. Balances in minor units.
  absl::StatusOr<std::vector<std::int64_t>> Open(std::span<const WalletKey> keys);
  // Wallets that exist.
  absl::StatusOr<Wallets> Read(std::span<const WalletKey> keys);

 private:
  absl::Status TransactUnlessRaced(const std::function<absl::Status(postgres::Transaction&, bool& raced)>& body);
  const SystemAccounts& System(postgres::Transaction& transaction, AccountKind kind, const Wallets& wallets);

  postgres::Session session_;
  SystemAccounts escrow_, world_;  // as far as known; an account's id never changes
};

}  // namespace flotilla::payment
