// Within this room: the table account. All take part in the caller's transaction.
//
// Locks are taken in one order everywhere: stored charges, wallets by account id, the keys of new charges, and last,
// for the shortest time, the system accounts, which every batch wants. A deposit locks the world before its own keys.
#pragma once

#include <set>
#include <span>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "payment/domain/account.h"
#include "postgres/session.h"

namespace flotilla::payment {

// Those that exist.
Wallets ReadWallets(postgres::Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys);
Wallets LockWallets(postgres::Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys);
// The same with the next statement that is run, whose picture is of after the locks.
postgres::Answer AskToLockWallets(postgres::Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys);
Wallets WalletsFrom(const postgres::Rows& rows);
// What the provider owes, by currency: not locked, so several instances may go beyond a limit by a batch each.
absl::flat_hash_map<std::string, std::int64_t> ReadProviderBalances(postgres::Transaction& transaction,
                                                                    const absl::flat_hash_set<std::string>& currencies,
                                                                    const SystemAccounts& system);
// Any accounts, by id; their balances by account id.
absl::flat_hash_map<std::int64_t, std::int64_t> LockAccounts(postgres::Transaction& transaction,
                                                             const std::set<std::int64_t>& ids);
// Opens the fleet's own accounts of the currencies, and wallets.
void OpenAccounts(postgres::Transaction& transaction, const std::set<std::string>& currencies,
                  const absl::flat_hash_set<WalletKey>& wallets);
// Makes the fleet's own accounts of these currencies known, as far as they exist.
void LearnSystem(postgres::Transaction& transaction, const absl::flat_hash_set<std::string>& currencies,
                 SystemAccounts& known);
// Writes the summed balances with COMMIT. A balance that may not be negative fails the transaction.
void Post(postgres::Transaction& transaction, const Postings& postings);

absl::Status Overflow();

}  // namespace flotilla::payment
