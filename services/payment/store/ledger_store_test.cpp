#include "payment/store/ledger_store.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "async/thread_executor.h"
#include "payment/store/ledger.h"
#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

using testing::ElementsAre;

using LedgerStoreTest = StoreTest;

TEST_F(LedgerStoreTest, OpeningTwiceKeepsTheMoney) {
  const std::string user = User(70);
  const std::vector<WalletKey> keys = {{user, "EUR"}, {user, "JPY"}, {user, "EUR"}};
  EXPECT_THAT(*store_.Open(keys), ElementsAre(70, 0, 70));
  EXPECT_EQ(Query("SELECT count(*) FROM account WHERE currency = 'JPY' AND kind > 1"), 6);
}

TEST_F(LedgerStoreTest, ADepositCountsOnce) {
  const std::string user = User(70);
  const std::vector<DepositCommand> deposits = {{"d-" + user, user, {"EUR", 5}},
                                                {"d-" + user, user, {"EUR", 5}},
                                                {"d-" + user, user, {"EUR", 6}},
                                                {"d2-" + user, "nobody", {"EUR", 1}}};
  for (int round = 0; round < 2; ++round) {
    const auto results = store_.Deposit(deposits);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].balance, 75);
    EXPECT_EQ((*results)[1].balance, 75);
    EXPECT_EQ((*results)[2].outcome, DepositOutcome::kMismatch);
    EXPECT_EQ((*results)[3].outcome, DepositOutcome::kUnknownAccount);
  }
  EXPECT_EQ(Balance(user), 75);
}

TEST_F(LedgerStoreTest, ARepeatedChargeIsTheFirstAnswer) {
  const std::string user = User(100);
  const ChargeCommand command = {NewOrder(), user, {"EUR", 60}};
  const ChargeResult first = Charge(command);
  EXPECT_EQ(first.outcome, ChargeOutcome::kCharged);
  EXPECT_GT(first.transfer_id, 0);
  EXPECT_EQ(Charge(command).transfer_id, first.transfer_id);
  EXPECT_EQ(Balance(user), 40);
  EXPECT_EQ(Charge({command.order_id, user, {"EUR", 61}}).outcome, ChargeOutcome::kOtherAmount);
  EXPECT_EQ(Charge({command.order_id, user, {"JPY", 60}}).outcome, ChargeOutcome::kOtherAmount);
  EXPECT_EQ(Charge({command.order_id, User(100), {"EUR", 60}}).outcome, ChargeOutcome::kOtherUser);
}

TEST_F(LedgerStoreTest, OneBatchHoldsEveryOutcome) {
  const std::string user = User(100);
  const std::string voided = NewOrder();
  Refund(voided);
  const ChargeCommand paid = {NewOrder(), user, {"EUR", 60}};
  const std::vector<ChargeCommand> commands = {
      paid, paid, {NewOrder(), user, {"EUR", 50}}, {NewOrder(), "nobody", {"EUR", 1}}, {voided, user, {"EUR", 1}}};
  const auto results = store_.Charge(commands);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].outcome, ChargeOutcome::kCharged);
  EXPECT_GT((*results)[0].transfer_id, 0);
  EXPECT_EQ((*results)[1].transfer_id, (*results)[0].transfer_id);
  EXPECT_EQ((*results)[2].outcome, ChargeOutcome::kInsufficientFunds);
  EXPECT_EQ((*results)[3].outcome, ChargeOutcome::kUnknownAccount);
  EXPECT_EQ((*results)[4].outcome, ChargeOutcome::kVoided);
  EXPECT_EQ(Balance(user), 40);
}

TEST_F(LedgerStoreTest, ARefusalStandsWhateverIsPaidInLater) {
  const std::string user = User(10);
  const ChargeCommand command = {NewOrder(), user, {"EUR", 11}};
  EXPECT_EQ(Charge(command).outcome, ChargeOutcome::kInsufficientFunds);
  const std::vector<DepositCommand> deposits = {{"more-" + user, user, {"EUR", 100}}};
  ASSERT_TRUE(store_.Deposit(deposits).ok());
  EXPECT_EQ(Charge(command).outcome, ChargeOutcome::kInsufficientFunds);
  EXPECT_EQ(Refund(command.order_id), 0);
  EXPECT_EQ(Balance(user), 110);
}

TEST_F(LedgerStoreTest, AnUnknownWalletIsNotRemembered) {
  const std::string user = absl::StrCat("user-", ++users_);
  const ChargeCommand command = {NewOrder(), user, {"EUR", 5}};
  EXPECT_EQ(Charge(command).outcome, ChargeOutcome::kUnknownAccount);
  const std::vector<WalletKey> keys = {{user, "EUR"}};
  ASSERT_TRUE(store_.Open(keys).ok());
  const std::vector<DepositCommand> deposits = {{"d-" + user, user, {"EUR", 5}}};
  ASSERT_TRUE(store_.Deposit(deposits).ok());
  EXPECT_EQ(Charge(command).outcome, ChargeOutcome::kCharged);
}

TEST_F(LedgerStoreTest, ARefundGivesBackOnce) {
  const std::string user = User(100);
  const std::vector<std::string> orders = {NewOrder(), NewOrder()};
  Charge({orders[0], user, {"EUR", 60}});
  Charge({orders[1], user, {"EUR", 30}});
  for (int round = 0; round < 2; ++round) {
    const std::vector<std::string> asked = {orders[1], orders[0], orders[1]};
    const auto results = RefundAll(actions_, asked);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].amount.minor_units, 30);
    EXPECT_EQ((*results)[1].amount.minor_units, 60);
    EXPECT_EQ((*results)[2].amount.minor_units, 30);
    EXPECT_EQ((*results)[0].amount.currency, "EUR");
  }
  EXPECT_EQ(Balance(user), 100);
  EXPECT_EQ(Charge({orders[0], user, {"EUR", 60}}).outcome, ChargeOutcome::kRefunded);
}

TEST_F(LedgerStoreTest, ARefundBeforeItsChargeLeavesATombstone) {
  const std::string user = User(100);
  const std::string order = NewOrder();
  EXPECT_EQ(Refund(order), 0);
  EXPECT_EQ(Refund(order), 0);
  EXPECT_EQ(Charge({order, user, {"EUR", 60}}).outcome, ChargeOutcome::kVoided);
  EXPECT_EQ(Balance(user), 100);
}

TEST_F(LedgerStoreTest, CurrenciesDoNotMix) {
  const std::string user = User(100);
  const std::vector<WalletKey> keys = {{user, "JPY"}};
  ASSERT_TRUE(store_.Open(keys).ok());
  const std::vector<ChargeCommand> commands = {{NewOrder(), user, {"JPY", 1}}, {NewOrder(), user, {"EUR", 1}}};
  const auto results = store_.Charge(commands);
  EXPECT_EQ((*results)[0].outcome, ChargeOutcome::kInsufficientFunds);
  EXPECT_EQ((*results)[1].outcome, ChargeOutcome::kCharged);
}

TEST_F(LedgerStoreTest, TheLedgerIsAppendOnly) {
  Charge({NewOrder(), User(100), {"EUR", 60}});
  for (const char* sql :
       {"UPDATE transfer SET amount = amount + 1", "DELETE FROM transfer", "TRUNCATE transfer", "DELETE FROM account",
        "DELETE FROM charge", "DELETE FROM deposit", "UPDATE deposit SET amount = 1", "DELETE FROM refund",
        "UPDATE refund SET amount = 1", "DELETE FROM provider_event", "DELETE FROM journal_block"}) {
    pqxx::connection connection(database_->options().uri);
    pqxx::work work(connection);
    EXPECT_THROW(work.exec(sql), pqxx::insufficient_privilege) << sql;
  }
}

TEST_F(LedgerStoreTest, TheViewsShowAPlantedFault) {
  const std::string user = User(100);
  pqxx::connection connection(database_->options().uri);
  {
    pqxx::work work(connection);
    work.exec("UPDATE account SET balance = balance + 1 WHERE owner = " + work.quote(user));
    EXPECT_EQ(work.exec1("SELECT sum FROM ledger_imbalance WHERE currency = 'EUR'")[0].as<int>(), 1);
    EXPECT_EQ(work.exec1("SELECT balance - transferred FROM ledger_account_drift")[0].as<int>(), 1);
  }
  {
    pqxx::work work(connection);
    work.exec(
        "INSERT INTO transfer (kind, debit_account, credit_account, amount, currency, reference) "
        "VALUES (2, -1, -2, 5, 'EUR', 'x')");
    EXPECT_EQ(work.exec1("SELECT count(*) FROM ledger_account_drift WHERE owner IS NULL")[0].as<int>(), 2);
  }
}

TEST_F(LedgerStoreTest, TwoSessionsNeverOverdrawOneWallet) {
  const std::string rich = User(1000);
  const std::string poor = User(100);
  constexpr int kRounds = 40;
  constexpr int kBatch = 10;
  const int base = orders_ + 1;
  orders_ += kRounds * kBatch;
  std::atomic<std::int64_t> charged = 0;
  const auto run = [&](bool backwards) {
    LedgerStore store(database_->options());
    for (int round = 0; round < kRounds; ++round) {
      // Both sessions ask for the same orders, and meet in the middle.
      const int first = base + (backwards ? kRounds - 1 - round : round) * kBatch;
      std::vector<ChargeCommand> commands;
      for (int i = 0; i < kBatch; ++i) {
        const int number = first + (backwards ? kBatch - 1 - i : i);
        commands.push_back({Order(number), number % 2 ? rich : poor, {"EUR", 7}});
      }
      const auto results = store.Charge(commands);
      ASSERT_TRUE(results.ok()) << results.status();
      for (const auto& result : *results) charged += result.outcome == ChargeOutcome::kCharged ? 1 : 0;
    }
  };
  std::thread other(run, true);
  run(false);
  other.join();
  EXPECT_EQ(Balance(rich), 1000 % 7);
  EXPECT_EQ(Balance(poor), 100 % 7);
  // Every charge was answered twice, by the same answer.
  EXPECT_EQ(charged, 2 * (1000 / 7 + 100 / 7));
}

TEST_F(LedgerStoreTest, ChargesAndRefundsThatRaceEndOneWay) {
  const std::string user = User(1'000'000);
  constexpr int kOrders = 300;
  const int base = orders_ + 1;
  orders_ += kOrders;
  std::thread refunds([&] {
    ActionStore store(database_->options(), {}, *clock_);
    for (int i = 0; i < kOrders; i += 3) {
      const std::vector<std::string> ids = {Order(base + i + 2), Order(base + i + 1), Order(base + i)};
      const auto results = RefundAll(store, ids);
      ASSERT_TRUE(results.ok()) << results.status();
    }
  });
  for (int i = 0; i < kOrders; i += 3) {
    std::vector<ChargeCommand> commands;
    for (int j = i; j < i + 3; ++j) commands.push_back({Order(base + j), user, {"EUR", 10}});
    const auto results = store_.Charge(commands);
    ASSERT_TRUE(results.ok()) << results.status();
  }
  refunds.join();
  // Whoever came first: every order was refunded, so nothing is kept.
  EXPECT_EQ(Balance(user), 1'000'000);
  EXPECT_EQ(Query(absl::StrCat("SELECT count(*) FROM charge WHERE state IN (3, 4) AND order_id BETWEEN '", Order(base),
                               "' AND '", Order(base + kOrders - 1), "'")),
            kOrders);
}

TEST_F(LedgerStoreTest, EveryChargeRefundedTwiceAtOnceIsGivenBackOnce) {
  const std::string user = User(1'000'000);
  constexpr int kOrders = 500;
  constexpr int kBatch = 25;
  const int base = orders_ + 1;
  orders_ += kOrders;
  std::vector<std::string> orders;
  std::vector<ChargeCommand> commands;
  for (int i = 0; i < kOrders; ++i) {
    orders.push_back(Order(base + i));
    commands.push_back({orders.back(), user, {"EUR", 10}});
  }
  ASSERT_TRUE(store_.Charge(commands).ok());
  const auto refunds = "SELECT count(*) FROM transfer WHERE kind = 3";
  const std::int64_t before = Query(refunds);
  const auto run = [&](bool backwards) {
    ActionStore store(database_->options(), {}, *clock_);
    for (int i = 0; i < kOrders; i += kBatch) {
      std::vector<std::string> batch(orders.begin() + i, orders.begin() + i + kBatch);
      if (backwards) std::reverse(batch.begin(), batch.end());
      const auto results = RefundAll(store, batch);
      ASSERT_TRUE(results.ok()) << results.status();
      for (const auto& result : *results) EXPECT_EQ(result.amount.minor_units, 10);
    }
  };
  std::thread other(run, true);
  run(false);
  other.join();
  EXPECT_EQ(Query(refunds) - before, kOrders);
  EXPECT_EQ(Balance(user), 1'000'000);
}

TEST_F(LedgerStoreTest, ManyInstancesOverFewWalletsNeitherLockUpNorLoseMoney) {
  constexpr int kInstances = 4;
  constexpr int kRounds = 30;
  std::vector<std::string> users;
  for (int i = 0; i < 5; ++i) users.push_back(User(2000));
  const int base = orders_ + 1;
  orders_ += 400;
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  const auto run = [&](unsigned instance) {
    LedgerStore store(database_->options());
    ActionStore actions(database_->options(), {}, *clock_);
    std::minstd_rand random(seed + instance);
    for (int round = 0; round < kRounds; ++round) {
      // The same few orders and wallets in any order, by any instance; an order's user and amount follow from its
      // number.
      std::vector<ChargeCommand> charges;
      std::vector<std::string> refunds;
      std::vector<DepositCommand> deposits;
      for (int i = 0; i < 20; ++i) {
        const int number = base + static_cast<int>(random() % 400);
        const std::string& user = users[static_cast<std::size_t>(number) % users.size()];
        charges.push_back({Order(number), user, {"EUR", 1 + number % 50}});
        if (i % 2 == 0) refunds.push_back(Order(base + static_cast<int>(random() % 400)));
        if (i % 5 == 0) deposits.push_back({absl::StrCat("mix-", seed, "-", number % 7, user), user, {"EUR", 3}});
      }
      const auto charged = store.Charge(charges);
      ASSERT_TRUE(charged.ok()) << charged.status();
      const auto refunded = RefundAll(actions, refunds);
      ASSERT_TRUE(refunded.ok()) << refunded.status();
      const auto deposited = store.Deposit(deposits);
      ASSERT_TRUE(deposited.ok()) << deposited.status();
      EXPECT_EQ(Query("SELECT count(*) FROM ledger_imbalance"), 0);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kInstances; ++i) threads.emplace_back(run, i);
  for (auto& thread : threads) thread.join();
}

TEST_F(LedgerStoreTest, TheBatchedLedgerAnswersEveryCallerForItself) {
  const std::string user = User(1000);
  async::ThreadExecutor executor;
  Ledger ledger(Ledger::Options{database_->options()}, *clock_);
  const auto charge = [&](std::vector<ChargeCommand> commands) -> async::Task<std::vector<ChargeResult>> {
    const auto results = co_await ledger.Charge(std::move(commands));
    co_return results.ok() ? *results : std::vector<ChargeResult>();
  };
  std::vector<async::Task<std::vector<ChargeResult>>> tasks;
  for (int i = 0; i < 50; ++i) {
    std::vector<ChargeCommand> commands;
    for (int j = 0; j < i % 3 + 1; ++j) commands.push_back({NewOrder(), j == 2 ? "nobody" : user, {"EUR", 1}});
    tasks.push_back(charge(std::move(commands)));
  }
  const auto results = async::BlockOn(executor, async::WhenAll(std::move(tasks)));
  std::int64_t charged = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(results[i].size(), i % 3 + 1);
    for (std::size_t j = 0; j < results[i].size(); ++j) {
      EXPECT_EQ(results[i][j].outcome, j == 2 ? ChargeOutcome::kUnknownAccount : ChargeOutcome::kCharged);
      charged += j == 2 ? 0 : 1;
    }
  }
  EXPECT_EQ(*async::BlockOn(executor, ledger.Read({user, "EUR"})), 1000 - charged);
  EXPECT_EQ(*async::BlockOn(executor, ledger.Open({user, "EUR"})), 1000 - charged);
  EXPECT_FALSE(async::BlockOn(executor, ledger.Read({"nobody", "EUR"}))->has_value());
  EXPECT_EQ(async::BlockOn(executor, ledger.Deposit({"d-" + user, user, {"EUR", 5}}))->balance, 1005 - charged);
}

}  // namespace
}  // namespace flotilla::payment
