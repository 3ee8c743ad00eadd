// For the stores' tests: a migrated database for the suite, users with money, and the promises that hold after each
// test.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "payment/store/action_store.h"
#include "payment/store/ledger_store.h"
#include "payment/store/schema.h"
#include "postgres/database_clock.h"
#include "postgres/test_database.h"

namespace flotilla::payment {

inline std::string Order(int number) { return absl::StrFormat("00000000-0000-7000-8000-%012d", number); }

// All that is left of each order goes back.
inline absl::StatusOr<std::vector<ActionResult>> RefundAll(ActionStore& store, const std::vector<std::string>& orders) {
  std::vector<Action> actions;
  for (const std::string& order : orders) actions.emplace_back(RefundCommand{order});
  return store.Apply(actions, nullptr);
}

class StoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = new postgres::TestDatabase();
    ASSERT_TRUE(postgres::Migrate(database_->options(), Schema(), absl::Seconds(10)).ok());
    clock_ = new postgres::DatabaseClock(database_->options());
    ASSERT_TRUE(clock_->Start().ok());
  }
  static void TearDownTestSuite() {
    delete clock_;
    clock_ = nullptr;
    delete database_;
    database_ = nullptr;
  }
  void TearDown() override {
    EXPECT_EQ(Query("SELECT count(*) FROM ledger_imbalance"), 0);
    EXPECT_EQ(Query("SELECT count(*) FROM ledger_account_drift"), 0);
    EXPECT_EQ(Query("SELECT count(*) FROM account WHERE balance < 0 AND kind NOT IN (3, 7)"), 0);
    EXPECT_EQ(Query("SELECT coalesce(sum(captured - refunded), 0) FROM charge WHERE settled = 0"), SumOf(2));
    EXPECT_EQ(Query("SELECT coalesce(sum(amount), 0) FROM charge WHERE state = 5"), SumOf(4));
  }

  static std::int64_t Query(const std::string& sql) {
    pqxx::connection connection(database_->options().uri);
    pqxx::nontransaction work(connection);
    return work.exec1(sql)[0].as<std::int64_t>(0);
  }
  static std::int64_t SumOf(int kind) {
    return Query(absl::StrCat("SELECT coalesce(sum(balance), 0) FROM account WHERE kind = ", kind));
  }

  // A new user with a wallet.
  std::string User(std::int64_t balance, const std::string& currency = "EUR") {
    const std::string user = absl::StrCat("user-", ++users_);
    const std::vector<WalletKey> keys = {{user, currency}};
    EXPECT_THAT(*store_.Open(keys), testing::ElementsAre(0));
    if (balance > 0) {
      const std::vector<DepositCommand> deposits = {{"first-" + user, user, {currency, balance}}};
      EXPECT_EQ(store_.Deposit(deposits)->front().balance, balance);
    }
    return user;
  }
  std::int64_t Balance(const std::string& user, const std::string& currency = "EUR") {
    const std::vector<WalletKey> keys = {{user, currency}};
    return store_.Read(keys)->at({user, currency}).balance;
  }
  std::string NewOrder() { return Order(++orders_); }
  ChargeResult Charge(const ChargeCommand& command) {
    const auto results = store_.Charge({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results->front();
  }
  ActionResult Do(Action action) {
    const auto results = actions_.Apply({&action, 1}, nullptr);
    EXPECT_TRUE(results.ok()) << results.status();
    return results->front();
  }
  std::int64_t Refund(const std::string& order) { return Do(RefundCommand{order}).amount.minor_units; }

  static inline postgres::TestDatabase* database_ = nullptr;
  static inline postgres::DatabaseClock* clock_ = nullptr;
  static inline int users_ = 0;
  static inline int orders_ = 0;
  LedgerStore store_{database_->options()};
  ActionStore actions_{database_->options(), SplitRule{}, *clock_};
};

}  // namespace flotilla::payment
