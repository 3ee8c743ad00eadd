#include "payment/store/ledger.h"

#include <memory>

#include "batch/flush_together.h"
#include "payment/store/action_store.h"
#include "payment/store/ledger_store.h"
#include "payment/store/payment_store.h"

namespace flotilla::payment {
namespace {

// Requests are added to one transaction until it holds this many items.
constexpr std::size_t kItemsPerTransaction = 1024;

}  // namespace

Ledger::Ledger(const Options& options, const postgres::DatabaseClock& clock)
    : charges_({.name = "charge", .max_batch = 512, .max_queue = 8192},
               [options](int) {
                 return [store = std::make_shared<LedgerStore>(postgres::Named(options.postgres, "charge"))](
                            const auto& requests) {
                   return batch::FlushTogether<ChargeResult>(requests, kItemsPerTransaction,
                                                             [&](auto items) { return store->Charge(items); });
                 };
               }),
      actions_({.name = "action", .max_batch = 512, .max_queue = 8192},
               [options, &clock](int) {
                 auto store =
                     std::make_shared<ActionStore>(postgres::Named(options.postgres, "action"), options.split, clock);
                 return [store, told_to = options.told](const auto& requests) {
                   return batch::FlushTogether<ActionResult>(requests, kItemsPerTransaction, [&](auto items) {
                     std::vector<Work::Told> told;
                     auto results = store->Apply(items, &told);
                     if (results.ok() && !told.empty() && told_to) told_to(told);
                     return results;
                   });
                 };
               }),
      accounts_({.name = "account", .max_batch = 512},
                [options](int) {
                  return [store = std::make_shared<LedgerStore>(postgres::Named(options.postgres, "account"))](
                             const auto& commands) { return FlushAccounts(*store, commands); };
                }),
      payments_({.name = "payments", .max_batch = 16, .max_queue = 64}, [options](int) {
        return [store = std::make_shared<PaymentStore>(postgres::Named(options.postgres, "payments"))](
                   const auto& requests) {
          return batch::FlushTogether<std::optional<ChargeState>>(requests, kItemsPerTransaction,
                                                                  [&](auto ids) { return store->Read(ids); });
        };
      }) {}

async::Task<absl::StatusOr<std::vector<ChargeResult>>> Ledger::Charge(std::vector<ChargeCommand> commands) {
  return charges_.Call(std::move(commands));
}

async::Task<absl::StatusOr<std::vector<ActionResult>>> Ledger::Act(std::vector<Action> actions) {
  return actions_.Call(std::move(actions));
}

async::Task<absl::StatusOr<DepositResult>> Ledger::Deposit(DepositCommand command) {
  return accounts_.Call(std::move(command));
}

async::Task<absl::StatusOr<std::int64_t>> Ledger::Open(WalletKey key) {
  const absl::StatusOr<DepositResult> reply = co_await accounts_.Call(OpenCommand{std::move(key)});
  if (!reply.ok()) co_return reply.status();
  co_return reply->balance;
}

async::Task<absl::StatusOr<std::optional<std::int64_t>>> Ledger::Read(WalletKey key) {
  const absl::StatusOr<DepositResult> reply = co_await accounts_.Call(ReadCommand{std::move(key)});
  if (!reply.ok()) co_return reply.status();
  if (reply->outcome == DepositOutcome::kUnknownAccount) co_return std::optional<std::int64_t>();
  co_return std::optional<std::int64_t>(reply->balance);
}

// One transaction for each kind of command that is there.
Ledger::Accounts::Results Ledger::FlushAccounts(LedgerStore& store, const std::vector<AccountCommand>& commands) {
  std::vector<WalletKey> opens;
  std::vector<WalletKey> reads;
  std::vector<DepositCommand> deposits;
  for (const AccountCommand& command : commands) {
    if (const auto* open = std::get_if<OpenCommand>(&command)) opens.push_back(open->key);
    if (const auto* read = std::get_if<ReadCommand>(&command)) reads.push_back(read->key);
    if (const auto* deposit = std::get_if<DepositCommand>(&command)) deposits.push_back(*deposit);
  }
  absl::StatusOr<std::vector<std::int64_t>> opened;
  absl::StatusOr<std::vector<DepositResult>> deposited;
  absl::StatusOr<Wallets> wallets;
  if (!opens.empty()) opened = store.Open(opens);
  if (!deposits.empty()) deposited = store.Deposit(deposits);
  if (!reads.empty()) wallets = store.Read(reads);

  Accounts::Results results;
  results.reserve(commands.size());
  std::size_t next_open = 0;
  std::size_t next_deposit = 0;
  for (const AccountCommand& command : commands) {
    if (std::holds_alternative<OpenCommand>(command)) {
      if (opened.ok()) {
        results.emplace_back(DepositResult{DepositOutcome::kDeposited, (*opened)[next_open++]});
      } else {
        results.emplace_back(opened.status());
      }
    } else if (std::holds_alternative<DepositCommand>(command)) {
      if (deposited.ok()) {
        results.emplace_back((*deposited)[next_deposit++]);
      } else {
        results.emplace_back(deposited.status());
      }
    } else if (!wallets.ok()) {
      results.emplace_back(wallets.status());
    } else {
      const auto it = wallets->find(std::get<ReadCommand>(command).key);
      results.emplace_back(it == wallets->end() ? DepositResult{DepositOutcome::kUnknownAccount}
                                                : DepositResult{DepositOutcome::kDeposited, it->second.balance});
    }
  }
  return results;
}

}  // namespace flotilla::payment
