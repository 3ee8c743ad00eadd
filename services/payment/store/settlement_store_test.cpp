#include "payment/store/settlement_store.h"

#include <algorithm>

#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

class SettlementStoreTest : public StoreTest {
 protected:
  // Moves the cursor on over everything there is; what it came to. `wait`: makes it wait.
  std::vector<std::string> PassOverAll(const std::string& last, bool wait = false) {
    std::vector<std::string> seen;
    while (std::find(seen.begin(), seen.end(), last) == seen.end()) {
      const auto due = store_of_settlement_.Claim(absl::ZeroDuration(), 2);
      EXPECT_TRUE(due.ok()) << due.status();
      if (due->xid.empty()) continue;  // a transaction elsewhere on the server holds it up
      // The lease is taken.
      EXPECT_TRUE(store_of_settlement_.Claim(absl::ZeroDuration(), 2)->xid.empty());
      std::vector<SettlementWait> waits;
      for (const Unsettled& charge : due->charges) {
        seen.push_back(charge.order_id);
        if (wait) waits.push_back({charge, Standing::kUnderWay, clock_->Now() - absl::Seconds(1)});
      }
      EXPECT_EQ(store_of_settlement_.Advance(*due, waits), absl::OkStatus());
    }
    return seen;
  }
  SettlementStore store_of_settlement_{database_->options()};
};

TEST_F(SettlementStoreTest, TheCursorComesToWhatIsDueInTheOrderOfCommitsForOneAtATime) {
  const std::string user = User(1000);
  const std::string first = NewOrder(), given_back = NewOrder(), settled = NewOrder(), last = NewOrder();
  for (const std::string& order : {first, given_back, settled, last}) Charge({order, user, {"EUR", 10}});
  Refund(given_back);
  Do(SettleCommand{settled});
  EXPECT_TRUE(store_of_settlement_.Claim(absl::Hours(1), 1000)->charges.empty());  // all are too young
  const auto seen = PassOverAll(last);
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen.front(), first);
  EXPECT_TRUE(store_of_settlement_.ClaimWaiting(clock_->Now(), 10)->empty());
}

// Killed between a claim and what was to follow, an instance leaves a lease behind; another one does the same again.
TEST_F(SettlementStoreTest, WhatWasClaimedByOneThatDiedIsClaimedAgain) {
  const std::string user = User(1000), order = NewOrder();
  Charge({order, user, {"EUR", 10}});
  const auto expire = [] { database_->Query("UPDATE settlement_cursor SET lease_until = now()"); };
  SettlementStore::Due due;
  while (due.charges.empty()) {
    due = *store_of_settlement_.Claim(absl::ZeroDuration(), 1000);
    expire();
  }
  EXPECT_EQ(store_of_settlement_.Claim(absl::ZeroDuration(), 1000)->charges.back().order_id, order);
  // Dead between settling and the cursor's step: the next one finds nothing left to settle, and steps.
  Do(SettleCommand{order});
  expire();
  const auto again = store_of_settlement_.Claim(absl::ZeroDuration(), 1000);
  EXPECT_TRUE(again->charges.empty());
  EXPECT_EQ(store_of_settlement_.Advance(*again, {}), absl::OkStatus());
  // The first one was not dead, but slow: what it has to say comes late and changes nothing.
  const auto position = [] { return Query("SELECT transfer_id FROM settlement_cursor"); };
  const std::int64_t before = position();
  EXPECT_EQ(store_of_settlement_.Advance(due, {{due.charges.back(), Standing::kUnderWay, clock_->Now()}}),
            absl::OkStatus());
  EXPECT_EQ(position(), before);
  EXPECT_TRUE(store_of_settlement_.ClaimWaiting(clock_->Now(), 10)->empty());
  EXPECT_EQ(Query("SELECT count(*) FROM settlement_wait"), 0);
}

TEST_F(SettlementStoreTest, WhoWaitsHasATurnOfItsOwnAndComesAgain) {
  const std::string user = User(1000);
  const std::string a = NewOrder(), b = NewOrder();
  for (const std::string& order : {a, b}) Charge({order, user, {"EUR", 10}});
  PassOverAll(b, /*wait=*/true);
  // By the caller's clock, which is the plan's too, whatever the database's says.
  EXPECT_TRUE(store_of_settlement_.ClaimWaiting(clock_->Now() - absl::Minutes(1), 10)->empty());
  auto turn = store_of_settlement_.ClaimWaiting(clock_->Now(), 10);
  ASSERT_EQ(turn->size(), 2u);
  EXPECT_EQ(turn->front().asked, 1);
  EXPECT_EQ(turn->front().user_id, user);
  EXPECT_TRUE(store_of_settlement_.ClaimWaiting(clock_->Now(), 10)->empty()) << "another instance finds them taken";
  // Whoever took them has died: their next turn comes all the same.
  database_->Query("UPDATE settlement_wait SET ask_at = ask_at - interval '31 seconds'");
  turn = store_of_settlement_.ClaimWaiting(clock_->Now(), 10);
  ASSERT_EQ(turn->size(), 2u);
  const auto& other = turn->front().order_id == a ? turn->back() : turn->front();
  EXPECT_EQ(store_of_settlement_.Keep({{a}, {{other, Standing::kUnknown, clock_->Now() - absl::Seconds(1)}}}),
            absl::OkStatus());
  turn = store_of_settlement_.ClaimWaiting(clock_->Now(), 10);
  ASSERT_EQ(turn->size(), 1u);
  EXPECT_EQ(turn->front().order_id, b);
  EXPECT_EQ(turn->front().asked, 2);
}

}  // namespace
}  // namespace flotilla::payment
