#include "payment/store/journal_store.h"

#include <thread>

#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

class JournalStoreTest : public StoreTest {
 protected:
  // Covers all that is committed. Transactions elsewhere on the server hold the chain up for as long as they run.
  void CoverAll() {
    do {
      while (*journal_.Extend(7) > 0) {
      }
    } while (journal_.Verify(0, {})->uncovered > 0);
  }
  // As the owner, with the triggers off: what no rights can prevent.
  static void Tamper(const std::string& sql) {
    pqxx::connection connection(database_->options().uri);
    pqxx::work work(connection);
    work.exec("SET LOCAL session_replication_role = replica");
    work.exec(sql);
    work.commit();
  }
  JournalStore journal_{database_->options()};
};

TEST_F(JournalStoreTest, EveryKindOfTamperingShowsAndIsLocated) {
  const std::string user = User(1000);
  for (int i = 0; i < 20; ++i) Charge({NewOrder(), user, {"EUR", 10}});
  CoverAll();
  const auto intact = journal_.Verify(0, {});
  ASSERT_TRUE(intact.ok()) << intact.status();
  EXPECT_EQ(intact->problem, "");
  EXPECT_GE(intact->blocks, 3);
  EXPECT_EQ(intact->transfers, Query("SELECT count(*) FROM transfer"));

  // The first: what else runs on the server decides how many the first block holds.
  const std::string id = std::to_string(Query("SELECT min(transfer_id) FROM transfer"));
  const std::string row = "(SELECT * FROM transfer WHERE transfer_id = " + id + ")";
  struct Case {
    std::string tamper, undo;
  };
  for (const Case& c : {
           Case{"UPDATE transfer SET amount = amount + 1 WHERE transfer_id = " + id,
                "UPDATE transfer SET amount = amount - 1 WHERE transfer_id = " + id},
           Case{"UPDATE transfer SET debit_account = credit_account, credit_account = debit_account"
                " WHERE transfer_id = " +
                    id,
                "UPDATE transfer SET debit_account = credit_account, credit_account = debit_account"
                " WHERE transfer_id = " +
                    id},
           Case{"UPDATE transfer SET created_at = created_at + interval '1 microsecond' WHERE transfer_id = " + id,
                "UPDATE transfer SET created_at = created_at - interval '1 microsecond' WHERE transfer_id = " + id},
           Case{"CREATE TABLE kept AS " + row + "; DELETE FROM transfer WHERE transfer_id = " + id,
                "INSERT INTO transfer SELECT * FROM kept; DROP TABLE kept"},
           Case{"INSERT INTO transfer SELECT -1, kind, debit_account, credit_account, amount, currency, reference,"
                " created_at, xid FROM transfer WHERE transfer_id = " +
                    id,
                "DELETE FROM transfer WHERE transfer_id = -1"},
       }) {
    Tamper(c.tamper);
    EXPECT_THAT(journal_.Verify(0, {})->problem, testing::HasSubstr("block 1 ")) << c.tamper;
    Tamper(c.undo);
    EXPECT_EQ(journal_.Verify(0, {})->problem, "") << c.undo;
  }
}

TEST_F(JournalStoreTest, AChainThatWasForgedAnewDoesNotMatchANotedHash) {
  Charge({NewOrder(), User(10), {"EUR", 10}});
  CoverAll();
  const Anchor noted = journal_.Verify(0, {})->head;
  EXPECT_EQ(journal_.Verify(0, noted)->problem, "");
  EXPECT_EQ(journal_.Verify(noted.block, {})->blocks, 0);
  EXPECT_TRUE(absl::IsNotFound(journal_.Verify(noted.block + 1, {}).status()));
  Tamper(
      "UPDATE transfer SET reference = reference || '!' WHERE transfer_id = (SELECT min(transfer_id) FROM transfer);"
      "DELETE FROM journal_block");
  CoverAll();
  EXPECT_EQ(journal_.Verify(0, {})->problem, "");
  EXPECT_NE(journal_.Verify(0, noted)->problem, "");
  Tamper("UPDATE transfer SET reference = rtrim(reference, '!'); DELETE FROM journal_block");
}

TEST_F(JournalStoreTest, WritersAndSeveralChainersTogetherLeaveNoTransferOut) {
  const std::string user = User(100'000);
  std::atomic<bool> writing = true;
  std::vector<std::thread> threads;
  for (int chainer = 0; chainer < 2; ++chainer) {
    threads.emplace_back([&] {
      JournalStore journal(database_->options());
      while (writing) EXPECT_TRUE(journal.Extend(10).ok());
    });
  }
  std::vector<std::thread> writers;
  std::atomic<int> next = orders_ + 1;
  orders_ += 400;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&] {
      LedgerStore store(database_->options());
      for (int i = 0; i < 100; ++i) {
        const ChargeCommand command = {Order(next++), user, {"EUR", 1}};
        EXPECT_TRUE(store.Charge({&command, 1}).ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  writing = false;
  for (auto& thread : threads) thread.join();
  CoverAll();
  const auto verification = journal_.Verify(0, {});
  EXPECT_EQ(verification->problem, "");
  EXPECT_EQ(verification->transfers, Query("SELECT count(*) FROM transfer"));
  EXPECT_EQ(Query("SELECT sum(transfers) FROM journal_block"), verification->transfers);
}

TEST_F(JournalStoreTest, StatementsAddUpToTheBalanceForEveryAccount) {
  const std::string user = User(1000);
  std::vector<std::string> orders;
  for (int i = 0; i < 5; ++i) {
    orders.push_back(NewOrder());
    Charge({orders.back(), user, {"EUR", 100}});
  }
  Do(RefundCommand{orders[0], "r", Money{"EUR", 30}});
  Do(SettleCommand{orders[1]});
  Do(RefundCommand{orders[1], "r", Money{"EUR", 50}});
  pqxx::connection connection(database_->options().uri);
  const auto accounts = pqxx::nontransaction(connection).exec("SELECT kind, owner, currency FROM account");
  for (const auto& account : accounts) {
    StatementQuery query{static_cast<AccountKind>(account[0].as<int>()), account[1].c_str(), account[2].c_str(), 0, 3};
    std::int64_t sum = 0;
    std::int64_t balance = 0;
    for (;;) {
      const auto statement = journal_.ReadStatement(query);
      ASSERT_TRUE(statement.ok()) << statement.status();
      balance = (*statement)->balance;
      for (const JournalEntry& entry : (*statement)->entries) {
        ASSERT_TRUE(query.before == 0 || entry.transfer_id < query.before);
        query.before = entry.transfer_id;
        const bool debit = entry.transfer.debit_account == (*statement)->account_id;
        sum += debit ? -entry.transfer.amount.minor_units : entry.transfer.amount.minor_units;
      }
      if ((*statement)->entries.size() < 3) break;
    }
    EXPECT_EQ(sum, balance) << account[1].c_str() << " " << account[2].c_str();
  }
  EXPECT_FALSE(journal_.ReadStatement({AccountKind::kWallet, "nobody", "EUR"})->has_value());
  EXPECT_EQ(journal_.Transfers({.order_id = orders[1]})->size(), 5u);  // charge, split in two, taken back from both
  EXPECT_EQ(journal_.Transfers({.limit = 2})->size(), 2u);
}

TEST_F(JournalStoreTest, TheTrialBalanceIsOfOneSnapshotWhileMoneyMoves) {
  const std::string user = User(10'000);
  std::atomic<bool> moving = true;
  std::atomic<int> next = orders_ + 1;
  orders_ += 100'000;
  std::thread writer([&] {
    LedgerStore store(database_->options());
    while (moving) {
      const ChargeCommand command = {Order(next++), user, {"EUR", 1}};
      EXPECT_TRUE(store.Charge({&command, 1}).ok());
    }
  });
  for (int i = 0; i < 100; ++i) {
    std::map<std::string, std::int64_t> sums;
    const auto lines = journal_.TrialBalance();
    ASSERT_TRUE(lines.ok()) << lines.status();
    for (const TrialLine& line : *lines) sums[line.currency] += line.balance;
    for (const auto& [currency, sum] : sums) EXPECT_EQ(sum, 0) << currency;
  }
  moving = false;
  writer.join();
}

}  // namespace
}  // namespace flotilla::payment
