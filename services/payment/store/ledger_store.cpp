#include "payment/store/ledger_store.h"

#include <set>

#include "absl/container/flat_hash_set.h"
#include "payment/store/accounts.h"
#include "payment/store/charge_rows.h"
#include "payment/store/rows.h"
#include "payment/store/unless_raced.h"

namespace flotilla::payment {
namespace {

using postgres::Care;
using postgres::Statement;
using postgres::Transaction;

const Statement kReadCharges = {"read_charges", R"(
    SELECT order_id, state, method, user_id, amount, currency, (extract(epoch FROM expires_at) * 1000000)::bigint,
           transfer_id
    FROM charge WHERE order_id = ANY($1::uuid[]))"};

// The transfers and the charges they belong to.
#define INSERT_CHARGES \
  R"(
    WITH input AS MATERIALIZED (
      SELECT i.*, CASE WHEN state = 1 THEN nextval('transfer_transfer_id_seq') END AS transfer_id
      FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bpchar[], $5::smallint[], $6::bigint[], $7::bigint[])
        AS i(order_id, user_id, amount, currency, state, wallet, escrow)
      ORDER BY order_id),
    moved AS (
      INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference)
      SELECT transfer_id, 2, wallet, escrow, amount, currency, order_id::text FROM input WHERE state = 1)
    INSERT INTO charge (order_id, user_id, amount, currency, state, captured, reason, transfer_id)
    SELECT order_id, user_id, amount, currency, state, CASE WHEN state = 1 THEN amount ELSE 0 END,
           CASE WHEN state = 2 THEN 'INSUFFICIENT_FUNDS' END, transfer_id
    FROM input)"
#define RETURNING_TRANSFERS " RETURNING order_id, transfer_id"
const Statement kInsertNewCharges = {"insert_new_charges", INSERT_CHARGES RETURNING_TRANSFERS};
// A charge that another transaction made meanwhile is not returned.
const Statement kInsertCharges = {"insert_charges",
                                  INSERT_CHARGES " ON CONFLICT (order_id) DO NOTHING" RETURNING_TRANSFERS};
#undef RETURNING_TRANSFERS
#undef INSERT_CHARGES

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

template <class Commands>
absl::flat_hash_set<WalletKey> WalletsOf(const Commands& commands) {
  absl::flat_hash_set<WalletKey> keys;
  keys.reserve(commands.size());
  for (const auto& command : commands) keys.emplace(command.user_id, command.amount.currency);
  return keys;
}

absl::flat_hash_set<std::string> CurrenciesOf(const Wallets& wallets) {
  absl::flat_hash_set<std::string> currencies;
  for (const auto& [key, wallet] : wallets) currencies.insert(key.second);
  return currencies;
}

Charges ChargesOf(const postgres::Rows& rows) {
  Charges charges;
  charges.reserve(rows.size());
  for (const auto& row : rows) {
    charges.emplace(row[0].c_str(), Charge{.state = static_cast<ChargeState>(row[1].as<int>()),
                                           .method = static_cast<PaymentMethod>(row[2].as<int>()),
                                           .user_id = row[3].c_str(),
                                           .amount = {row[5].c_str(), row[4].as<std::int64_t>(0)},
                                           .expires_at = ExpiryOf(row[6]),
                                           .transfer_id = row[7].as<std::int64_t>(0)});
  }
  return charges;
}

template <class Writes>
postgres::Answer AskToInsert(Transaction& transaction, const Statement& statement, const Writes& writes) {
  return transaction.Ask(
      statement, TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->order_id; }),
      TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->user_id; }),
      NumberColumn(writes, [](const auto& w) { return w.command->amount.minor_units; }),
      TextColumn(writes, [](const auto& w) -> std::string_view { return w.command->amount.currency; }),
      NumberColumn(writes, [](const auto& w) { return w.state; }),
      NumberColumn(writes, [](const auto& w) { return w.transfer.debit_account; }),
      NumberColumn(writes, [](const auto& w) { return w.transfer.credit_account; }));
}

}  // namespace

absl::StatusOr<std::vector<ChargeResult>> LedgerStore::Charge(std::span<const ChargeCommand> commands) {
  std::vector<ChargeResult> results;
  postgres::Answer inserted;
  const absl::Status status =
      TransactHopefullyUnlessRaced(session_, [&](Transaction& transaction, Care care, bool& raced) -> absl::Status {
        // The wallets first: with them locked, a charge of the same user that ran beside us is visible to the next
        // statement.
        const postgres::Answer locked = AskToLockWallets(transaction, WalletsOf(commands));
        const Charges charges = ChargesOf(transaction.Run(
            kReadCharges, TextColumn(commands, [](const auto& c) -> std::string_view { return c.order_id; })));
        const Wallets wallets = WalletsFrom(locked.rows());
        LearnSystem(transaction, CurrenciesOf(wallets), system_);
        ChargePlan plan = PlanCharges(commands, charges, wallets, system_);
        if (plan.postings.overflow) return Overflow();
        inserted = {};
        if (!plan.writes.empty()) {
          const bool hopeful = care == Care::kHope;
          inserted = AskToInsert(transaction, hopeful ? kInsertNewCharges : kInsertCharges, plan.writes);
          if (!hopeful) {
            transaction.Flush();
            raced = inserted.rows().size() != plan.writes.size();
            if (raced) return absl::OkStatus();
          }
          Post(transaction, plan.postings);
        }
        results = std::move(plan.results);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  absl::flat_hash_map<std::string, std::int64_t> transfer_ids;
  transfer_ids.reserve(inserted.rows().size());
  for (const auto& row : inserted.rows()) {
    if (!row[1].is_null()) transfer_ids.emplace(row[0].c_str(), row[1].as<std::int64_t>());
  }
  for (std::size_t i = 0; i < commands.size(); ++i) {
    ChargeResult& result = results[i];
    if (result.outcome == ChargeOutcome::kCharged && result.transfer_id == 0) {
      const auto transfer = transfer_ids.find(commands[i].order_id);
      if (transfer == transfer_ids.end()) return absl::InternalError("a charge has no transfer");
      result.transfer_id = transfer->second;
    }
  }
  return results;
}

absl::StatusOr<std::vector<DepositResult>> LedgerStore::Deposit(std::span<const DepositCommand> commands) {
  std::vector<DepositResult> results;
  const absl::Status status = TransactUnlessRaced(session_, [&](Transaction& transaction, bool& raced) -> absl::Status {
    const Wallets wallets = LockWallets(transaction, WalletsOf(commands));
    const absl::flat_hash_set<std::string> currencies = CurrenciesOf(wallets);
    LearnSystem(transaction, currencies, system_);
    std::set<std::int64_t> wanted;
    for (const std::string& currency : currencies) wanted.insert(system_.Find(AccountKind::kWorld, currency));
    const auto balances = LockAccounts(transaction, wanted);
    absl::flat_hash_map<std::string, Wallet> world;
    for (const std::string& currency : currencies) {
      const std::int64_t id = system_.Find(AccountKind::kWorld, currency);
      if (const auto it = balances.find(id); it != balances.end()) world.emplace(currency, Wallet{id, it->second});
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
    Post(transaction, plan.postings);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::vector<std::int64_t>> LedgerStore::Open(std::span<const WalletKey> keys) {
  std::vector<std::int64_t> balances;
  const absl::Status status = session_.Transact([&](Transaction& transaction) -> absl::Status {
    const absl::flat_hash_set<WalletKey> wanted(keys.begin(), keys.end());
    std::set<std::string> currencies;
    for (const WalletKey& key : wanted) currencies.insert(key.second);
    OpenAccounts(transaction, currencies, wanted);
    const Wallets wallets = ReadWallets(transaction, wanted);
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
    wallets = ReadWallets(transaction, {keys.begin(), keys.end()});
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return wallets;
}

}  // namespace flotilla::payment
