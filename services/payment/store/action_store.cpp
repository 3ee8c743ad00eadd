#include "payment/store/action_store.h"

#include <set>

#include "events/log.h"
#include "payment/codec/codec.h"
#include "payment/store/accounts.h"
#include "payment/store/charge_rows.h"
#include "payment/store/unless_raced.h"

namespace flotilla::payment {
namespace {

using postgres::Statement;
using postgres::Transaction;

const Statement kExpired = {"expired_charges", R"(
    SELECT order_id FROM charge
    WHERE state IN (5, 6) AND expires_at <= 'epoch'::timestamptz + $1::bigint * interval '1 microsecond'
    ORDER BY expires_at LIMIT $2::int)"};

// What a batch asks for, in the shapes that are loaded.
struct Wanted {
  std::set<std::string> orders;
  std::vector<std::string> references;
  std::vector<std::string> provider_events;
  std::vector<RefundKey> refunds;
  absl::flat_hash_set<WalletKey> wallets;
  std::set<std::string> currencies;  // whose system accounts may have to be opened
};

Wanted WantedBy(std::span<const Action> actions) {
  Wanted wanted;
  for (const Action& action : actions) {
    std::visit(
        [&](const auto& command) {
          using Command = std::decay_t<decltype(command)>;
          if constexpr (std::is_same_v<Command, CallbackCommand>) {
            wanted.references.push_back(command.reference);
            wanted.provider_events.push_back(command.event_id);
          } else {
            wanted.orders.insert(command.order_id);
          }
          if constexpr (std::is_same_v<Command, RefundCommand>) {
            wanted.refunds.emplace_back(command.order_id, command.refund_id);
          }
          if constexpr (std::is_same_v<Command, AuthorizeCommand>) {
            wanted.wallets.emplace(command.user_id, command.amount.currency);
          }
          if constexpr (std::is_same_v<Command, AwaitCommand>) wanted.currencies.insert(command.amount.currency);
        },
        action);
  }
  return wanted;
}

// Locks in the order that accounts.h tells.
void Load(Transaction& transaction, const Wanted& wanted, Work& work) {
  SystemAccounts& system = work.system;
  std::set<std::string> orders = wanted.orders;
  if (!wanted.references.empty()) {
    ReadReferences(transaction, wanted.references, work);
    for (const auto& [reference, order_id] : work.orders_by_reference) orders.insert(order_id);
  }
  LockCharges(transaction, std::vector<std::string>(orders.begin(), orders.end()), work);
  // After the locks: who held one may have written these.
  if (!wanted.provider_events.empty()) {
    ReadProviderEvents(transaction, wanted.provider_events, work);
    ReadDisputes(transaction, wanted.provider_events, work);
  }
  if (!wanted.refunds.empty()) ReadRefunds(transaction, wanted.refunds, work);

  absl::flat_hash_set<std::string> currencies(wanted.currencies.begin(), wanted.currencies.end());
  std::set<std::int64_t> accounts;
  for (const auto& [order_id, charge] : work.charges) {
    if (!charge.amount.currency.empty()) currencies.insert(charge.amount.currency);
  }
  if (!wanted.wallets.empty()) work.wallets = ReadWallets(transaction, wanted.wallets);
  for (const auto& [key, wallet] : work.wallets) {
    currencies.insert(key.second);
    accounts.insert(wallet.account_id);
  }
  LearnSystem(transaction, currencies, system);
  if (!wanted.references.empty()) work.provider_balances = ReadProviderBalances(transaction, currencies, system);
  for (const std::string& currency : wanted.currencies) {
    if (system.Find(AccountKind::kProvider, currency) != 0) continue;
    OpenAccounts(transaction, {currency}, {});
    LearnSystem(transaction, {currency}, system);
  }
  for (const auto& [order_id, charge] : work.charges) {
    if (charge.payer_account != 0 && !system.Holds(charge.payer_account)) accounts.insert(charge.payer_account);
  }
  if (accounts.empty()) return;
  const auto balances = LockAccounts(transaction, accounts);
  for (auto& [key, wallet] : work.wallets) wallet.balance = balances.at(wallet.account_id);
}

// Gives what was made in this transaction the ids of its transfers.
void SetTransferIds(const std::vector<std::int64_t>& ids, std::span<ActionResult> results, Work& work) {
  const auto set = [&](auto& item) {
    if (item.transfer.has_value()) item.transfer_id = ids.at(*item.transfer);
  };
  for (ActionResult& result : results) set(result);
  for (auto& [key, refund] : work.new_refunds) set(refund);
  for (const auto& [order_id, is_new] : work.changed) set(work.charges.at(order_id));
}

// False where it raced.
bool Write(Transaction& transaction, std::span<ActionResult> results, Work& work) {
  if (!work.transfers.empty()) SetTransferIds(InsertTransfers(transaction, work.transfers), results, work);
  std::vector<std::string> inserts, updates;
  for (const auto& [order_id, is_new] : work.changed) (is_new ? inserts : updates).push_back(order_id);
  if (!inserts.empty() && !InsertCharges(transaction, inserts, work.charges)) return false;
  if (!work.new_provider_events.empty() && !InsertProviderEvents(transaction, work.new_provider_events)) return false;
  if (!updates.empty()) UpdateCharges(transaction, updates, work.charges);
  if (!work.new_refunds.empty()) InsertRefunds(transaction, work.new_refunds);
  if (!work.new_disputes.empty()) InsertDisputes(transaction, work.new_disputes);
  if (!work.told.empty()) {
    std::vector<events::Event> events;
    events.reserve(work.told.size());
    for (const Work::Told& told : work.told) events.push_back(EventOf(told, work.charges.at(told.order_id), work.now));
    events::Append(transaction, events);
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<ActionResult>> ActionStore::Apply(std::span<const Action> actions,
                                                             std::vector<Work::Told>* told) {
  const Wanted wanted = WantedBy(actions);
  std::vector<ActionResult> results;
  SystemAccounts system;
  const absl::Status status = TransactUnlessRaced(session_, [&](Transaction& transaction, bool& raced) -> absl::Status {
    Work work;
    work.split = split_;
    work.system = system_;
    Load(transaction, wanted, work);
    work.now = clock_.Now();  // with the locks held: what had to wait for them may have run out meanwhile
    results.clear();
    for (const Action& action : actions) {
      results.push_back(std::visit([&](const auto& command) { return payment::Apply(work, command); }, action));
    }
    const Postings postings = Sum(work.transfers, work.system);
    if (postings.overflow) return Overflow();
    raced = !Write(transaction, results, work);
    if (raced) return absl::OkStatus();
    Post(transaction, postings);
    if (told != nullptr) *told = std::move(work.told);
    system = std::move(work.system);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  system_ = std::move(system);  // only now: an account that was opened here is there
  return results;
}

absl::StatusOr<std::vector<std::string>> ActionStore::Expired(absl::Time now, int limit) {
  std::vector<std::string> orders;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    orders.clear();
    for (const auto& row : transaction.Run(kExpired, absl::ToUnixMicros(now), limit))
      orders.emplace_back(row[0].c_str());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return orders;
}

}  // namespace flotilla::payment
