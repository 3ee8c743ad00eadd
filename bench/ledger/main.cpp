// What the batched ledger gains: durable charges a second through the payment service's own store, against a baseline
// that makes one transaction a transfer with row locks, on the same database. Every charge goes to one hot escrow
// account; a tenth of them come from one hot wallet. Fails where the ledger does not balance afterwards, or is slower
// than promised.
//
// Arguments: libpq uri of a superuser's database (a database of its own is made beside it and dropped), seconds a row.
#include <atomic>
#include <cstdio>
#include <iostream>
#include <pqxx/pqxx>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "payment/store/ledger.h"
#include "payment/store/ledger_store.h"
#include "payment/store/schema.h"

namespace flotilla::payment {
namespace {

constexpr int kUsers = 10'000;
constexpr int kCallers = 512;  // charges in flight
constexpr int kBaselineThreads = 32;
constexpr double kLeast = 10'000;  // transfers/s
constexpr double kLeastTimes = 3;  // the baseline

std::string User(int number) { return number % 10 == 0 ? "user-0" : absl::StrCat("user-", number % kUsers); }
std::string OrderOf(int number) { return absl::StrFormat("00000000-0000-7000-8000-%012d", number); }

// Runs `work` until the time is over; charges a second.
double Rate(absl::Duration duration, const std::function<void(std::atomic<bool>&, std::atomic<int>&)>& work) {
  std::atomic<bool> stop = false;
  std::atomic<int> charged = 0;
  const absl::Time start = absl::Now();
  std::thread timer([&] {
    absl::SleepFor(duration);
    stop = true;
  });
  work(stop, charged);
  timer.join();
  return charged / absl::ToDoubleSeconds(absl::Now() - start);
}

async::Task<int> Caller(Ledger& ledger, std::atomic<int>& next, std::atomic<bool>& stop, std::atomic<int>& charged) {
  while (!stop) {
    const int number = ++next;
    std::vector<ChargeCommand> commands;
    commands.push_back({OrderOf(number), User(number), {"EUR", 1}});
    const absl::StatusOr<std::vector<ChargeResult>> results = co_await ledger.Charge(std::move(commands));
    if (results.ok() && results->front().outcome == ChargeOutcome::kCharged) ++charged;
  }
  co_return 0;
}

double Batched(const postgres::Options& options, absl::Duration duration, std::atomic<int>& next) {
  async::ThreadExecutor executor;
  const postgres::DatabaseClock clock(options);  // charges do not ask it
  Ledger ledger(Ledger::Options{options}, clock);
  return Rate(duration, [&](std::atomic<bool>& stop, std::atomic<int>& charged) {
    std::vector<async::Task<int>> callers;
    for (int i = 0; i < kCallers; ++i) callers.push_back(Caller(ledger, next, stop, charged));
    async::BlockOn(executor, async::WhenAll(std::move(callers)));
  });
}

// The same rows, one transaction each: the wallet is locked, then escrow, for as long as the commit takes.
double OneByOne(const postgres::Options& options, absl::Duration duration, std::atomic<int>& next) {
  return Rate(duration, [&](std::atomic<bool>& stop, std::atomic<int>& charged) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kBaselineThreads; ++i) {
      threads.emplace_back([&] {
        pqxx::connection connection(options.uri);
        connection.prepare("charge", R"(
            WITH wallet AS (UPDATE account SET balance = balance - 1
                            WHERE owner = $1 AND kind = 1 AND currency = 'EUR' AND balance >= 1 RETURNING account_id),
                 escrow AS (UPDATE account SET balance = balance + 1
                            WHERE owner = 'escrow' AND kind = 2 AND currency = 'EUR' RETURNING account_id),
                 moved AS (INSERT INTO transfer (kind, debit_account, credit_account, amount, currency, reference)
                           SELECT 2, wallet.account_id, escrow.account_id, 1, 'EUR', $2::text FROM wallet, escrow
                           RETURNING transfer_id)
            INSERT INTO charge (order_id, user_id, amount, currency, state, captured, transfer_id)
            SELECT $2::uuid, $1, 1, 'EUR', 1, 1, transfer_id FROM moved)");
        while (!stop) {
          const int number = ++next;
          pqxx::work work(connection);
          work.exec_prepared("charge", User(number), OrderOf(number));
          work.commit();
          ++charged;
        }
      });
    }
    for (auto& thread : threads) thread.join();
  });
}

void Prepare(const postgres::Options& options) {
  if (!postgres::Migrate(options, Schema(), absl::Seconds(10)).ok()) throw std::runtime_error("cannot migrate");
  LedgerStore store(options);
  for (int first = 0; first < kUsers; first += 500) {
    std::vector<WalletKey> keys;
    std::vector<DepositCommand> deposits;
    for (int i = first; i < first + 500; ++i) {
      const std::string user = absl::StrCat("user-", i);
      keys.emplace_back(user, "EUR");
      deposits.push_back({"d-" + user, user, {"EUR", 1'000'000'000}});
    }
    if (!store.Open(keys).ok() || !store.Deposit(deposits).ok()) throw std::runtime_error("cannot fill the wallets");
  }
}

int Run(const std::string& admin_uri, absl::Duration duration) {
  const std::string name = "bench_ledger";
  const auto admin = [&](const std::string& sql) {
    pqxx::connection connection(admin_uri);
    pqxx::nontransaction(connection).exec(sql);
  };
  admin("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
  admin("CREATE DATABASE " + name);
  postgres::Options options;
  options.uri = admin_uri.substr(0, admin_uri.rfind('/') + 1) + name;
  Prepare(options);
  std::atomic<int> next = 0;
  const double baseline = OneByOne(options, duration, next);
  std::printf("one transaction a transfer, %d connections: %.0f transfers/s\n", kBaselineThreads, baseline);
  const double batched = Batched(options, duration, next);
  std::printf("batched, %d in flight: %.0f transfers/s, %.1f times as many\n", kCallers, batched, batched / baseline);
  int wrong = 0;
  {
    pqxx::connection connection(options.uri);
    pqxx::nontransaction work(connection);
    wrong =
        work.exec1("SELECT (SELECT count(*) FROM ledger_imbalance) + (SELECT count(*) FROM ledger_account_drift)")[0]
            .as<int>();
  }
  std::printf("accounts and currencies that do not balance: %d\n", wrong);
  admin("DROP DATABASE " + name + " WITH (FORCE)");
  return wrong == 0 && batched >= kLeast && batched >= kLeastTimes * baseline ? 0 : 1;
}

}  // namespace
}  // namespace flotilla::payment

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " <libpq uri> <seconds>\n";
    return 2;
  }
  return flotilla::payment::Run(argv[1], absl::Seconds(std::atoi(argv[2])));
}
