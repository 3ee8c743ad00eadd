// The ledger for coroutines: requests gather while a transaction is in flight and go together in the next one.
// Only on an executor's thread; resumes there. Errors as in the stores, and RESOURCE_EXHAUSTED where a queue is full.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "payment/domain/action.h"
#include "payment/domain/charge.h"
#include "payment/domain/deposit.h"
#include "postgres/database_clock.h"
#include "postgres/session.h"

namespace flotilla::payment {

class Ledger {
 public:
  struct Options {
    postgres::Options postgres;
    SplitRule split = {};
    // Called after every transaction that told something in events, on a worker's thread. May be empty.
    std::function<void(const std::vector<Work::Told>&)> told = {};
  };
  // `clock`, by which deadlines are judged, outlives the ledger.
  Ledger(const Options& options, const postgres::DatabaseClock& clock);

  // Results in the order of the arguments, each for itself.
  async::Task<absl::StatusOr<std::vector<ChargeResult>>> Charge(std::vector<ChargeCommand> commands);
  async::Task<absl::StatusOr<std::vector<ActionResult>>> Act(std::vector<Action> actions);
  async::Task<absl::StatusOr<DepositResult>> Deposit(DepositCommand command);
  // The wallet's balance; that of Read is absent where there is no such wallet.
  async::Task<absl::StatusOr<std::int64_t>> Open(WalletKey key);
  async::Task<absl::StatusOr<std::optional<std::int64_t>>> Read(WalletKey key);
  // As of PaymentStore.
  async::Task<absl::StatusOr<std::vector<std::optional<ChargeState>>>> ReadPayments(
      std::vector<std::string> order_ids) {
    return payments_.Call(std::move(order_ids));
  }

 private:
  struct OpenCommand {
    WalletKey key;
  };
  struct ReadCommand {
    WalletKey key;
  };
  using AccountCommand = std::variant<DepositCommand, OpenCommand, ReadCommand>;
  using Accounts = batch::WorkerBatcher<AccountCommand, DepositResult>;  // all three answer in a deposit's shape
  static Accounts::Results FlushAccounts(class LedgerStore& store, const std::vector<AccountCommand>& commands);

  // One worker each: a second one would only wait for the first one's escrow row.
  batch::WorkerBatcher<std::vector<ChargeCommand>, std::vector<ChargeResult>> charges_;
  batch::WorkerBatcher<std::vector<Action>, std::vector<ActionResult>> actions_;
  Accounts accounts_;
  batch::WorkerBatcher<std::vector<std::string>, std::vector<std::optional<ChargeState>>> payments_;
};

}  // namespace flotilla::payment
