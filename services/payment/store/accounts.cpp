#include "payment/store/accounts.h"

#include <algorithm>
#include <vector>

#include "payment/store/rows.h"

namespace flotilla::payment {
namespace {

using postgres::Statement;
using postgres::Transaction;

const Statement kLockWallets = {"lock_wallets", R"(
    SELECT a.account_id, a.owner, a.currency, a.balance
    FROM unnest($1::text[], $2::bpchar[]) AS wanted(owner, currency)
    JOIN account a ON a.owner = wanted.owner AND a.kind = 1 AND a.currency = wanted.currency
    ORDER BY a.account_id FOR NO KEY UPDATE OF a)"};

const Statement kReadWallets = {"read_wallets", R"(
    SELECT a.account_id, a.owner, a.currency, a.balance
    FROM unnest($1::text[], $2::bpchar[]) AS wanted(owner, currency)
    JOIN account a ON a.owner = wanted.owner AND a.kind = 1 AND a.currency = wanted.currency)"};

const Statement kOpen = {"open", R"(
    INSERT INTO account (owner, kind, currency, may_go_negative)
    SELECT owner, kind, currency, kind IN (3, 7)
    FROM unnest($1::text[], $2::smallint[], $3::bpchar[]) AS wanted(owner, kind, currency)
    ORDER BY kind, currency, owner
    ON CONFLICT (owner, kind, currency) DO NOTHING)"};

const Statement kSystemAccounts = {"system_accounts", R"(
    SELECT s.kind, a.currency, a.account_id
    FROM unnest($1::text[], $2::smallint[]) AS s(owner, kind) JOIN account a ON a.owner = s.owner AND a.kind = s.kind)"};

const Statement kReadAccounts = {"read_accounts", R"(
    SELECT currency, balance FROM account WHERE account_id = ANY($1::bigint[]))"};

const Statement kLockAccounts = {"lock_accounts", R"(
    SELECT account_id, balance FROM account WHERE account_id = ANY($1::bigint[])
    ORDER BY account_id FOR NO KEY UPDATE)"};

// Travels with COMMIT, so it must fail by itself where an account is missing: it divides by zero.
const Statement kPost = {"post", R"(
    WITH posted AS (
      UPDATE account a SET balance = a.balance + p.delta
      FROM unnest($1::bigint[], $2::bigint[]) AS p(account_id, delta) WHERE a.account_id = p.account_id
      RETURNING 1)
    SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM posted)"};

postgres::Parameter Owners(const absl::flat_hash_set<WalletKey>& keys) {
  return TextColumn(keys, [](const WalletKey& k) -> std::string_view { return k.first; });
}
postgres::Parameter Currencies(const absl::flat_hash_set<WalletKey>& keys) {
  return TextColumn(keys, [](const WalletKey& k) -> std::string_view { return k.second; });
}

}  // namespace

Wallets WalletsFrom(const postgres::Rows& rows) {
  Wallets wallets;
  wallets.reserve(rows.size());
  for (const auto& row : rows) {
    wallets.emplace(WalletKey(row[1].c_str(), row[2].c_str()),
                    Wallet{row[0].as<std::int64_t>(), row[3].as<std::int64_t>()});
  }
  return wallets;
}

Wallets ReadWallets(Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys) {
  return WalletsFrom(transaction.Run(kReadWallets, Owners(keys), Currencies(keys)));
}

Wallets LockWallets(Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys) {
  const postgres::Answer locked = AskToLockWallets(transaction, keys);
  transaction.Flush();
  return WalletsFrom(locked.rows());
}

postgres::Answer AskToLockWallets(Transaction& transaction, const absl::flat_hash_set<WalletKey>& keys) {
  return transaction.Ask(kLockWallets, Owners(keys), Currencies(keys));
}

absl::flat_hash_map<std::string, std::int64_t> ReadProviderBalances(Transaction& transaction,
                                                                    const absl::flat_hash_set<std::string>& currencies,
                                                                    const SystemAccounts& system) {
  std::set<std::int64_t> ids;
  for (const std::string& currency : currencies) ids.insert(system.Find(AccountKind::kProvider, currency));
  absl::flat_hash_map<std::string, std::int64_t> balances;
  for (const auto& row : transaction.Run(kReadAccounts, NumberColumn(ids, [](std::int64_t id) { return id; }))) {
    balances.emplace(row[0].c_str(), row[1].as<std::int64_t>());
  }
  return balances;
}

absl::flat_hash_map<std::int64_t, std::int64_t> LockAccounts(Transaction& transaction,
                                                             const std::set<std::int64_t>& ids) {
  absl::flat_hash_map<std::int64_t, std::int64_t> balances;
  for (const auto& row : transaction.Run(kLockAccounts, NumberColumn(ids, [](std::int64_t id) { return id; }))) {
    balances.emplace(row[0].as<std::int64_t>(), row[1].as<std::int64_t>());
  }
  return balances;
}

void OpenAccounts(Transaction& transaction, const std::set<std::string>& currencies,
                  const absl::flat_hash_set<WalletKey>& wallets) {
  struct Row {
    std::string_view owner;
    AccountKind kind;
    std::string_view currency;
  };
  std::vector<Row> rows;
  for (const auto& [user, currency] : wallets) rows.push_back({user, AccountKind::kWallet, currency});
  for (const std::string& currency : currencies) {
    for (const SystemKind& system : kSystemKinds) rows.push_back({system.owner, system.kind, currency});
  }
  transaction.Run(kOpen, TextColumn(rows, [](const Row& r) { return r.owner; }),
                  NumberColumn(rows, [](const Row& r) { return r.kind; }),
                  TextColumn(rows, [](const Row& r) { return r.currency; }));
}

void LearnSystem(Transaction& transaction, const absl::flat_hash_set<std::string>& currencies, SystemAccounts& known) {
  // They are opened together, so one tells of all.
  const bool complete = std::all_of(currencies.begin(), currencies.end(), [&](const std::string& currency) {
    return known.Find(AccountKind::kEscrow, currency) != 0;
  });
  if (complete) return;
  for (const auto& row :
       transaction.Run(kSystemAccounts, TextColumn(kSystemKinds, [](const SystemKind& s) { return s.owner; }),
                       NumberColumn(kSystemKinds, [](const SystemKind& s) { return s.kind; }))) {
    known.Add(static_cast<AccountKind>(row[0].as<int>()), row[1].c_str(), row[2].as<std::int64_t>());
  }
}

// The system accounts last: the array drives the look-ups, so their rows, which everybody needs, are locked for the
// shortest time.
void Post(Transaction& transaction, const Postings& postings) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all(postings.wallets.begin(), postings.wallets.end());
  all.insert(all.end(), postings.system.begin(), postings.system.end());
  if (all.empty()) return;
  transaction.Defer(kPost, NumberColumn(all, [](const auto& p) { return p.first; }),
                    NumberColumn(all, [](const auto& p) { return p.second; }));
}

absl::Status Overflow() { return absl::InternalError("balances do not fit 64 bits: the ledger is damaged"); }

}  // namespace flotilla::payment
