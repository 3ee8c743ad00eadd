#include "payment/store/ledger_store.h"

#include <algorithm>
#include <set>

#include "absl/container/flat_hash_set.h"

namespace flotilla::payment {
namespace {

using postgres::Array;
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
    SELECT owner, kind, currency, kind = 3
    FROM unnest($1::text[], $2::smallint[], $3::bpchar[]) AS wanted(owner, kind, currency)
    ORDER BY kind, currency, owner
    ON CONFLICT (owner, kind, currency) DO NOTHING)"};

const Statement kSystemAccounts = {"system_accounts", R"(
    SELECT currency, account_id FROM account WHERE owner = $1 AND kind = $2)"};

const Statement kLockAccounts = {"lock_accounts", R"(
    SELECT account_id, currency, balance FROM account WHERE account_id = ANY($1::bigint[])
    ORDER BY account_id FOR NO KEY UPDATE)"};

// Travels with COMMIT, so it must fail by itself where an account is missing: it divides by zero.
const Statement kPost = {"post", R"(
    WITH posted AS (
      UPDATE account a SET balance = a.balance + p.delta
      FROM unnest($1::bigint[], $2::bigint[]) AS p(account_id, delta) WHERE a.account_id = p.account_id
      RETURNING 1)
    SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM posted)"};

const Statement kReadCharges = {"read_charges", R"(
    SELECT order_id, state, user_id, amount, currency, transfer_id FROM charge WHERE order_id = ANY($1::uuid[]))"};

const Statement kLockCharges = {"lock_charges", R"(
    SELECT c.order_id, c.state, c.user_id, c.amount, c.currency, c.transfer_id, t.debit_account, t.credit_account
    FROM charge c LEFT JOIN transfer t ON t.transfer_id = c.transfer_id
    WHERE c.order_id = ANY($1::uuid[]) ORDER BY c.order_id FOR NO KEY UPDATE OF c)"};

// The transfers and the charges they belong to. A charge that another transaction made meanwhile is not returned.
const Statement kInsertCharges = {"insert_charges", R"(
    WITH input AS MATERIALIZED (
      SELECT i.*, CASE WHEN state = 1 THEN nextval('transfer_transfer_id_seq') END AS transfer_id
      FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bpchar[], $5::smallint[], $6::bigint[], $7::bigint[])
        AS i(order_id, user_id, amount, currency, state, wallet, escrow)
      ORDER BY order_id),
    moved AS (
      INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference)
      SELECT transfer_id, 2, wallet, escrow, amount, currency, order_id::text FROM input WHERE state = 1)
    INSERT INTO charge (order_id, user_id, amount, currency, state, reason, transfer_id)
    SELECT order_id, user_id, amount, currency, state, CASE WHEN state = 2 THEN 'INSUFFICIENT_FUNDS' END, transfer_id
    FROM input
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id, transfer_id)"};

const Statement kRefundCharges = {"refund_charges", R"(
    WITH input AS MATERIALIZED (
      SELECT i.*, nextval('transfer_transfer_id_seq') AS transfer_id
      FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bpchar[])
        AS i(order_id, escrow, wallet, amount, currency)),
    moved AS (
      INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference)
      SELECT transfer_id, 3, escrow, wallet, amount, currency, order_id::text FROM input)
    UPDATE charge c SET state = 3, refund_transfer_id = input.transfer_id
    FROM input WHERE c.order_id = input.order_id AND c.state = 1)"};

const Statement kInsertTombstones = {"insert_tombstones", R"(
    INSERT INTO charge (order_id, state)
    SELECT order_id, 4 FROM unnest($1::uuid[]) AS i(order_id) ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING)"};

const Statement kReadDeposits = {"read_deposits", R"(
    SELECT deposit_id, user_id, amount, currency FROM deposit WHERE deposit_id = ANY($1::text[]))"};

const Statement kInsertDeposits = {"insert_deposits", R"(
    WITH input AS MATERIALIZED (
      SELECT i.*, nextval('transfer_transfer_id_seq') AS transfer_id
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bpchar[], $5::bigint[], $6::bigint[])
        AS i(deposit_id, user_id, amount, currency, world, wallet)
      ORDER BY deposit_id),
    moved AS (
      INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference)
      SELECT transfer_id, 1, world, wallet, amount, currency, deposit_id FROM input)
    INSERT INTO deposit (deposit_id, user_id, amount, currency, transfer_id)
    SELECT deposit_id, user_id, amount, currency, transfer_id FROM input
    ON CONFLICT (deposit_id) DO NOTHING)"};

const char* SystemOwner(AccountKind kind) { return kind == AccountKind::kEscrow ? "escrow" : "world"; }

// Array parameters, one column at a time.
template <class Rows, class Get>
std::string TextColumn(const Rows& rows, Get get) {
  std::vector<std::string_view> column;
  column.reserve(rows.size());
  for (const auto& row : rows) column.push_back(get(row));
  return Array(column);
}
template <class Rows, class Get>
std::string NumberColumn(const Rows& rows, Get get) {
  std::vector<std::int64_t> column;
  column.reserve(rows.size());
  for (const auto& row : rows) column.push_back(static_cast<std::int64_t>(get(row)));
  return Array(column);
}

template <class Rows>
std::string References(const Rows& rows) {
  return TextColumn(rows, [](const auto& t) -> std::string_view { return t.reference; });
}

Wallets WalletsOf(const pqxx::result& rows) {
  Wallets wallets;
  wallets.reserve(rows.size());
  for (const auto& row : rows) {
    wallets.emplace(WalletKey(row[1].c_str(), row[2].c_str()),
                    Wallet{row[0].as<std::int64_t>(), row[3].as<std::int64_t>()});
  }
  return wallets;
}

Wallets SelectWallets(Transaction& transaction, const Statement& statement,
                      const absl::flat_hash_set<WalletKey>& keys) {
  return WalletsOf(transaction.Run(statement,
                                   TextColumn(keys, [](const WalletKey& k) -> std::string_view { return k.first; }),
                                   TextColumn(keys, [](const WalletKey& k) -> std::string_view { return k.second; })));
}

template <class Commands>
Wallets LockWalletsOf(Transaction& transaction, const Commands& commands) {
  absl::flat_hash_set<WalletKey> keys;
  keys.reserve(commands.size());
  for (const auto& command : commands) keys.emplace(command.user_id, command.amount.currency);
  return SelectWallets(transaction, kLockWallets, keys);
}

Charges ChargesOf(const pqxx::result& rows) {
  Charges charges;
  charges.reserve(rows.size());
  for (const auto& row : rows) {
    Charge charge{.state = static_cast<ChargeState>(row[1].as<int>()),
                  .user_id = row[2].c_str(),
                  .amount = {row[4].c_str(), row[3].as<std::int64_t>(0)},
                  .transfer_id = row[5].as<std::int64_t>(0)};
    if (row.size() > 6) {
      charge.wallet_account = row[6].as<std::int64_t>(0);
      charge.escrow_account = row[7].as<std::int64_t>(0);
    }
    charges.emplace(row[0].c_str(), std::move(charge));
  }
  return charges;
}

// Writes the summed balances, the system accounts last: the array drives the look-ups, so their rows, which everybody
// needs, are locked for the shortest time. A balance below 0 fails the transaction.
void Apply(Transaction& transaction, const Postings& postings) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all(postings.wallets.begin(), postings.wallets.end());
  all.insert(all.end(), postings.system.begin(), postings.system.end());
  if (all.empty()) return;
  transaction.Defer(kPost, NumberColumn(all, [](const auto& p) { return p.first; }),
                    NumberColumn(all, [](const auto& p) { return p.second; }));
}

absl::Status Overflow() { return absl::InternalError("balances do not fit 64 bits: the ledger is damaged"); }

}  // namespace

// Where another instance made one of the rows after we had looked, the plan rested on a wrong picture: roll back, look
// again.
absl::Status LedgerStore::TransactUnlessRaced(
    const std::function<absl::Status(postgres::Transaction&, bool& raced)>& body) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    bool raced = false;
    const absl::Status status = session_.Transact([&](Transaction& transaction) {
      raced = false;
      const absl::Status done = body(transaction, raced);
      return raced ? absl::AbortedError("raced") : done;
    });
    if (!raced) return status;
  }
  return absl::AbortedError("the same ids are being written by other instances");
}

// The system accounts of one kind, at least for all currencies of `wallets`.
const SystemAccounts& LedgerStore::System(Transaction& transaction, AccountKind kind, const Wallets& wallets) {
  SystemAccounts& known = kind == AccountKind::kEscrow ? escrow_ : world_;
  const bool complete = std::all_of(wallets.begin(), wallets.end(),
                                    [&](const auto& wallet) { return known.contains(wallet.first.second); });
  if (!complete) {
    for (const auto& row : transaction.Run(kSystemAccounts, SystemOwner(kind), static_cast<int>(kind))) {
      known.insert_or_assign(row[0].c_str(), row[1].as<std::int64_t>());
    }
  }
  return known;
}

absl::StatusOr<std::vector<ChargeResult>> LedgerStore::Charge(std::span<const ChargeCommand> commands) {
  std::vector<ChargeResult> results;
  const absl::Status status = TransactUnlessRaced([&](Transaction& transaction, bool& raced) -> absl::Status {
    // The wallets first: with them locked, a charge of the same user that ran beside us is visible to the next
    // statement.
    const Wallets wallets = LockWalletsOf(transaction, commands);
    const Charges charges = ChargesOf(transaction.Run(
        kReadCharges, TextColumn(commands, [](const auto& c) -> std::string_view { return c.order_id; })));
    ChargePlan plan = PlanCharges(commands, charges, wallets, System(transaction, AccountKind::kEscrow, wallets));
    if (plan.postings.overflow) return Overflow();
    absl::flat_hash_map<std::string, std::int64_t> transfer_ids;
    if (!plan.writes.empty()) {
      const auto& writes = plan.writes;
      const auto inserted = transaction.Run(
          kInsertCharges, TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->order_id; }),
          TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->user_id; }),
          NumberColumn(writes, [](const auto& w) { return w.command->amount.minor_units; }),
          TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->amount.currency; }),
          NumberColumn(writes, [](const auto& w) { return w.state; }),
          NumberColumn(writes, [](const auto& w) { return w.transfer.debit_account; }),
          NumberColumn(writes, [](const auto& w) { return w.transfer.credit_account; }));
      raced = inserted.size() != writes.size();
      if (raced) return absl::OkStatus();
      transfer_ids.reserve(inserted.size());
      for (const auto& row : inserted) {
        if (!row[1].is_null()) transfer_ids.emplace(row[0].c_str(), row[1].as<std::int64_t>());
      }
      Apply(transaction, plan.postings);
    }
    for (std::size_t i = 0; i < commands.size(); ++i) {
      ChargeResult& result = plan.results[i];
      if (result.outcome == ChargeOutcome::kCharged && result.transfer_id == 0) {
        result.transfer_id = transfer_ids.at(commands[i].order_id);
      }
    }
    results = std::move(plan.results);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<RefundResult>> LedgerStore::Refund(std::span<const std::string> order_ids) {
  std::vector<RefundResult> results;
  const absl::Status status = TransactUnlessRaced([&](Transaction& transaction, bool& raced) -> absl::Status {
    RefundPlan plan = PlanRefunds(order_ids, ChargesOf(transaction.Run(kLockCharges, Array(order_ids))));
    if (plan.postings.overflow) return Overflow();
    if (!plan.transfers.empty()) {
      transaction.Run(kLockAccounts, NumberColumn(plan.postings.wallets, [](const auto& p) { return p.first; }));
      const auto& transfers = plan.transfers;
      const auto refunded = transaction.Run(
          kRefundCharges, References(transfers), NumberColumn(transfers, [](const auto& t) { return t.debit_account; }),
          NumberColumn(transfers, [](const auto& t) { return t.credit_account; }),
          NumberColumn(transfers, [](const auto& t) { return t.amount.minor_units; }),
          TextColumn(transfers, [](const auto& t) -> std::string_view { return t.amount.currency; }));
      if (refunded.affected_rows() != transfers.size()) return absl::InternalError("a locked charge was not refunded");
    }
    if (!plan.tombstones.empty()) {
      raced = transaction.Run(kInsertTombstones, Array(plan.tombstones)).affected_rows() != plan.tombstones.size();
      if (raced) return absl::OkStatus();
    }
    results = std::move(plan.results);
    Apply(transaction, plan.postings);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<DepositResult>> LedgerStore::Deposit(std::span<const DepositCommand> commands) {
  std::vector<DepositResult> results;
  const absl::Status status = TransactUnlessRaced([&](Transaction& transaction, bool& raced) -> absl::Status {
    const Wallets wallets = LockWalletsOf(transaction, commands);
    const SystemAccounts& ids = System(transaction, AccountKind::kWorld, wallets);
    std::set<std::int64_t> wanted;
    for (const auto& [key, wallet] : wallets) {
      if (auto it = ids.find(key.second); it != ids.end()) wanted.insert(it->second);
    }
    absl::flat_hash_map<std::string, Wallet> world;
    for (const auto& row : transaction.Run(kLockAccounts, NumberColumn(wanted, [](std::int64_t id) { return id; }))) {
      world.emplace(row[1].c_str(), Wallet{row[0].as<std::int64_t>(), row[2].as<std::int64_t>()});
    }
    Deposits deposits;
    for (const auto& row : transaction.Run(
             kReadDeposits, TextColumn(commands, [](const auto& c) -> std::string_view { return c.deposit_id; }))) {
      deposits.emplace(row[0].c_str(), StoredDeposit{row[1].c_str(), {row[3].c_str(), row[2].as<std::int64_t>()}});
    }
    DepositPlan plan = PlanDeposits(commands, std::move(deposits), wallets, std::move(world));
    if (plan.postings.overflow) return Overflow();
    if (!plan.writes.empty()) {
      const auto& writes = plan.writes;
      const auto inserted = transaction.Run(
          kInsertDeposits, TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->deposit_id; }),
          TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->user_id; }),
          NumberColumn(writes, [](const auto& w) { return w.command->amount.minor_units; }),
          TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->amount.currency; }),
          NumberColumn(writes, [](const auto& w) { return w.transfer.debit_account; }),
          NumberColumn(writes, [](const auto& w) { return w.transfer.credit_account; }));
      raced = inserted.affected_rows() != writes.size();
      if (raced) return absl::OkStatus();
    }
    results = std::move(plan.results);
    Apply(transaction, plan.postings);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<std::int64_t>> LedgerStore::Open(std::span<const WalletKey> keys) {
  std::vector<std::int64_t> balances;
  const absl::Status status = session_.Transact([&](Transaction& transaction) -> absl::Status {
    const absl::flat_hash_set<WalletKey> wanted(keys.begin(), keys.end());
    std::vector<std::pair<WalletKey, AccountKind>> accounts;
    std::set<std::string> currencies;
    for (const WalletKey& key : wanted) {
      accounts.emplace_back(key, AccountKind::kWallet);
      currencies.insert(key.second);
    }
    for (const std::string& currency : currencies) {
      for (const AccountKind kind : {AccountKind::kEscrow, AccountKind::kWorld}) {
        accounts.emplace_back(WalletKey(SystemOwner(kind), currency), kind);
      }
    }
    transaction.Run(kOpen, TextColumn(accounts, [](const auto& a) -> std::string_view { return a.first.first; }),
                    NumberColumn(accounts, [](const auto& a) { return a.second; }),
                    TextColumn(accounts, [](const auto& a) -> std::string_view { return a.first.second; }));
    const Wallets wallets = SelectWallets(transaction, kReadWallets, wanted);
    balances.clear();
    for (const WalletKey& key : keys) {
      const auto it = wallets.find(key);
      if (it == wallets.end()) return absl::InternalError("an opened wallet is missing");
      balances.push_back(it->second.balance);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return balances;
}

absl::StatusOr<Wallets> LedgerStore::Read(std::span<const WalletKey> keys) {
  Wallets wallets;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    wallets = SelectWallets(transaction, kReadWallets, absl::flat_hash_set<WalletKey>(keys.begin(), keys.end()));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return wallets;
}

}  // namespace flotilla::payment
