// What the payment service's own role may do in its database.
#include <vector>

#include "payment/store/journal_store.h"
#include "payment/store/settlement_store.h"
#include "payment/store/store_fixture.h"
#include "postgres/test_role.h"

namespace flotilla::payment {
namespace {

class RightsTest : public StoreTest {};

TEST_F(RightsTest, MoneyMovesAsTheServicesRole) {
  const postgres::TestRole role(*database_, Rights());
  LedgerStore ledger(role.options());
  ActionStore actions(role.options(), {}, *clock_);
  const std::string order = Order(1), awaiting = Order(2), user = "paula";
  const std::vector<WalletKey> keys = {{user, "EUR"}};
  ASSERT_TRUE(ledger.Open(keys).ok());
  const std::vector<DepositCommand> deposits = {{"d-" + user, user, {"EUR", 50}}};
  ASSERT_TRUE(ledger.Deposit(deposits).ok());
  const ChargeCommand charge = {order, user, {"EUR", 50}};
  ASSERT_EQ(ledger.Charge({&charge, 1})->front().outcome, ChargeOutcome::kCharged);
  const std::vector<Action> all = {SettleCommand{order}, RefundCommand{order},
                                   AwaitCommand{awaiting, user, {"EUR", 5}, absl::Now() + absl::Hours(1), "ref-role"},
                                   CallbackCommand{"evt-role", "ref-none", true, {"EUR", 5}}};
  ASSERT_TRUE(actions.Apply(all, nullptr).ok());
  const std::vector<Action> callback = {CallbackCommand{"evt-role", "ref-role", false, {"EUR", 5}}};
  ASSERT_TRUE(actions.Apply(callback, nullptr).ok());
  ASSERT_TRUE(JournalStore(role.options()).Extend(1000).ok());
  SettlementStore settlement(role.options());
  ASSERT_TRUE(settlement.Claim(absl::Hours(1), 1).ok());
  const SettlementWait wait = {{order, user, absl::Now()}, Standing::kUnknown, absl::Now()};
  ASSERT_EQ(settlement.Advance({.charges = {}, .xid = "1", .transfer_id = 0}, {wait}), absl::OkStatus());
  ASSERT_TRUE(settlement.ClaimWaiting(absl::Now(), 1).ok());
  ASSERT_EQ(settlement.Keep({{order}, {wait}}), absl::OkStatus());
}

TEST_F(RightsTest, TheJournalCanBeNeitherChangedNorDeleted) {
  const postgres::TestRole role(*database_, Rights());
  EXPECT_EQ(role.Liberties(), "");
  for (const char* sql :
       {"UPDATE transfer SET amount = 1", "DELETE FROM transfer", "ALTER TABLE transfer DISABLE TRIGGER append_only",
        "DELETE FROM refund", "UPDATE journal_block SET hash = hash", "DELETE FROM journal_block",
        "UPDATE account SET may_go_negative = true", "UPDATE account SET owner = 'me'", "DELETE FROM account",
        "UPDATE provider_event SET amount = 1", "DELETE FROM charge", "DELETE FROM event",
        "UPDATE event_policy SET retention = '0'", "DELETE FROM event_part",
        "UPDATE event_replay SET operator = 'other'", "DELETE FROM event_replay"}) {
    EXPECT_EQ(role.Try(sql), "refused") << sql;
  }
  for (const char* sql :
       {"SELECT event_make_parts()", "SELECT event_drop_parts()",
        "INSERT INTO event_replay (operator, note, stream_id, from_time, to_time) VALUES ('o', '', '', now(), now())",
        "UPDATE event_replay SET published = 1, ended_at = now()"}) {
    EXPECT_EQ(role.Try(sql), "allowed") << sql;
  }
}

}  // namespace
}  // namespace flotilla::payment
