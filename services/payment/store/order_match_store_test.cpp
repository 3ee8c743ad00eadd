#include "payment/store/order_match_store.h"

#include <algorithm>

#include "payment/store/reconciliation_store.h"
#include "payment/store/store_fixture.h"

namespace flotilla::payment {
namespace {

class OrderMatchStoreTest : public StoreTest {
 protected:
  // What the cursor comes to until it has met `last`.
  std::vector<std::string> Follow(const std::string& last) {
    std::vector<std::string> seen;
    while (std::find(seen.begin(), seen.end(), last) == seen.end()) {
      const auto news = matches_.Claim(absl::ZeroDuration(), 3);
      EXPECT_TRUE(news.ok()) << news.status();
      EXPECT_TRUE(matches_.Claim(absl::ZeroDuration(), 3)->from.xid.empty()) << "taken";
      seen.insert(seen.end(), news->order_ids.begin(), news->order_ids.end());
      EXPECT_EQ(matches_.Advance(news->from, news->next, {}), absl::OkStatus());
    }
    return seen;
  }
  static MatchPlan::Wait Wait(const std::string& order, std::optional<Mismatch> suspected, bool confirmed = false) {
    return {.look = {.order_id = order, .user_id = "u", .suspected = std::move(suspected)},
            .look_at = clock_->Now() - absl::Seconds(1),
            .reference = "ref",
            .confirmed = confirmed};
  }
  // As if the cursor had passed it, differing.
  void Passed(const std::string& order, const Mismatch& mismatch) {
    EXPECT_EQ(matches_.Advance({"1", 1, "stale"}, {"1", 1, ""}, {.over = {}, .wait = {Wait(order, mismatch)}}),
              absl::OkStatus());
  }
  OrderLook Turn(const std::string& order) {
    const auto looks = matches_.ClaimLooks(clock_->Now(), 10);
    EXPECT_TRUE(looks.ok()) << looks.status();
    for (const OrderLook& look : *looks) {
      if (look.order_id == order) return look;
    }
    return {};
  }
  std::vector<StoredDifference> Differences(const std::string& order, bool all = false) {
    std::vector<StoredDifference> found = *differences_.List({.all_states = all, .limit = 1000});
    std::erase_if(found, [&](const StoredDifference& d) { return d.order_id != order; });
    return found;
  }
  OrderMatchStore matches_{database_->options()};
  ReconciliationStore differences_{database_->options()};
};

const Mismatch kSeventy{DifferenceClass::kOrderNotRefunded, 0, 70, "EUR"};

TEST_F(OrderMatchStoreTest, TheCursorComesToWhoeverPaidOrGotBack) {
  const std::string user = User(1000), first = NewOrder(), last = NewOrder(), held = NewOrder();
  Charge({first, user, {"EUR", 10}});
  Do(AuthorizeCommand{held, user, {"EUR", 10}, absl::Now() + absl::Hours(1)});
  Refund(first);
  Charge({last, user, {"EUR", 10}});
  EXPECT_TRUE(matches_.Claim(absl::Hours(1), 1000)->order_ids.empty()) << "all are too young";
  EXPECT_EQ(matches_.Free(), absl::OkStatus());
  const std::vector<std::string> seen = Follow(last);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), first), 2);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), held), 0) << "only held";
}

// Its lease ran out, and another one has gone on.
TEST_F(OrderMatchStoreTest, ASlowOneDoesNotSetTheCursorBack) {
  const std::string user = User(1000), a = NewOrder(), b = NewOrder();
  Charge({a, user, {"EUR", 10}});
  const auto slow = matches_.Claim(absl::ZeroDuration(), 1000);
  EXPECT_EQ(matches_.Free(), absl::OkStatus());
  Charge({b, user, {"EUR", 10}});
  Follow(b);
  EXPECT_EQ(matches_.Advance(slow->from, slow->next, {}), absl::OkStatus());
  const auto next = matches_.Claim(absl::ZeroDuration(), 1000);
  EXPECT_EQ(std::count(next->order_ids.begin(), next->order_ids.end(), b), 0);
  EXPECT_EQ(matches_.Free(), absl::OkStatus());
}

TEST_F(OrderMatchStoreTest, ReadsWhatIsKeptOfEach) {
  const std::string user = User(1000), order = NewOrder(), none = NewOrder();
  Charge({order, user, {"EUR", 100}});
  Do(RefundCommand{order, "r", Money{"EUR", 30}});
  const std::vector<std::string> ids = {none, order};
  const auto kept = matches_.Read(ids);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ((*kept)[0].money.captured, 0);
  EXPECT_EQ((*kept)[1].user_id, user);
  EXPECT_EQ((*kept)[1].money.captured - (*kept)[1].money.refunded, 70);
}

TEST_F(OrderMatchStoreTest, ADifferenceIsToldOnceChangesAndGoes) {
  const std::string order = NewOrder();
  Passed(order, kSeventy);
  OrderLook look = Turn(order);
  EXPECT_EQ(look.user_id, "u");
  EXPECT_EQ(look.suspected, kSeventy);
  EXPECT_TRUE(Differences(order).empty()) << "suspected only";
  EXPECT_EQ(Turn(order).order_id, "") << "another instance finds it taken";
  EXPECT_EQ(*matches_.Keep({.over = {}, .wait = {Wait(order, kSeventy, true)}}), 1);
  EXPECT_EQ(*matches_.Keep({.over = {}, .wait = {Wait(order, kSeventy, true)}}), 0);
  ASSERT_EQ(Differences(order).size(), 1u);
  const StoredDifference told = Differences(order).front();
  EXPECT_EQ(told.difference.kind_of, DifferenceClass::kOrderNotRefunded);
  EXPECT_EQ(told.difference.ours, 70);
  EXPECT_EQ(told.difference.reference, "ref");
  EXPECT_EQ(told.statement_id, "");
  // A correction would book between provider and world, which mends nothing here.
  EXPECT_EQ(differences_.Resolve({told.difference_id, true, "olga", "why"})->outcome,
            ResolutionOutcome::kNotCorrectable);
  const Mismatch sixty{DifferenceClass::kOrderNotRefunded, 0, 60, "EUR"};
  EXPECT_EQ(*matches_.Keep({.over = {}, .wait = {Wait(order, sixty, true)}}), 1);
  EXPECT_EQ(Differences(order).front().difference.ours, 60);
  EXPECT_EQ(Turn(order).looks, 4);
  EXPECT_EQ(*matches_.Keep({.over = {order}, .wait = {}}), 0);
  EXPECT_TRUE(Differences(order).empty());
  EXPECT_EQ(Differences(order, true).size(), 2u);
  EXPECT_EQ(Query("SELECT count(*) FROM order_look WHERE order_id = '" + order + "'"), 0);
}

TEST_F(OrderMatchStoreTest, WhatAnOperatorHasDismissedIsKnown) {
  const std::string order = NewOrder();
  Passed(order, kSeventy);
  EXPECT_FALSE(Turn(order).dismissed);
  EXPECT_EQ(*matches_.Keep({.over = {}, .wait = {Wait(order, kSeventy, true)}}), 1);
  const std::int64_t id = Differences(order).front().difference_id;
  EXPECT_EQ(differences_.Resolve({id, false, "olga", "a gift"})->outcome, ResolutionOutcome::kResolved);
  EXPECT_TRUE(Turn(order).dismissed);
  const Mismatch sixty{DifferenceClass::kOrderNotRefunded, 0, 60, "EUR"};
  EXPECT_EQ(*matches_.Keep({.over = {}, .wait = {Wait(order, sixty)}}), 0);
  EXPECT_FALSE(Turn(order).dismissed) << "that is another one";
}

TEST_F(OrderMatchStoreTest, AnOrderUnderWayHasItsTurnsToo) {
  const std::string order = NewOrder();
  EXPECT_EQ(matches_.Advance({"1", 1, "stale"}, {"1", 1, ""}, {.over = {}, .wait = {Wait(order, std::nullopt)}}),
            absl::OkStatus());
  const OrderLook look = Turn(order);
  EXPECT_EQ(look.suspected, std::nullopt);
  EXPECT_LE(look.since, clock_->Now());
  EXPECT_FALSE(look.dismissed);
}

}  // namespace
}  // namespace flotilla::payment
