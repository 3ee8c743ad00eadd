// I6 and I7: every order and every saga has an end.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

using testing::HasSubstr;

TEST_F(CheckerTest, ParkedSagaIsCaughtUnlessAllowed) {
  Plant("order", "INSERT INTO saga (type, id, version, direction, data, owner, lease_until) VALUES ('cancel', '" +
                     Uuid(1) + "', 1, 2, '', 'me', now())");
  EXPECT_THAT(Violated(), testing::ElementsAre(7)) << text_;
  EXPECT_THAT(text_, HasSubstr("I7 VIOLATED: saga cancel " + Uuid(1) + " is parked"));
  options_.allow_parked = true;
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
}

std::vector<Bug> Bugs() {
  return {
      // I6
      {"PaidButRefunded",
       6,
       {{"payment", Transfer(90, 3, 2, 3, 600, Uuid(1)) + AddToAccount(2, -600) + AddToAccount(3, 600) +
                        Refund(Uuid(1), 600, 90) + "UPDATE charge SET state = 3, refunded = 600" + WhereOrder(1)}},
       "is PAID, its charge refunded"},
      {"CancelledButCharged",
       6,
       {{"payment", "DELETE FROM transfer WHERE transfer_id = 31;" + AddToAccount(2, 250) + AddToAccount(5, -250) +
                        "DELETE FROM refund" + WhereOrder(3) + "UPDATE charge SET state = 1, refunded = 0" +
                        WhereOrder(3)}},
       "is CANCELLED, its charge charged"},
      {"RefundTheOrderDoesNotKnowOf",
       6,
       {{"payment", Transfer(90, 3, 2, 3, 5, Uuid(1)) + AddToAccount(2, -5) + AddToAccount(3, 5) +
                        Refund(Uuid(1), 5, 90) + "UPDATE charge SET refunded = 5" + WhereOrder(1)}},
       "is PAID with 0 refunded, its charge says 5"},
      {"CancelledButStillAwaitingTheProvider",
       6,
       {{"payment", "UPDATE charge SET state = 6, reason = NULL, expires_at = now()" + WhereOrder(2)}},
       "is CANCELLED, its charge awaiting"},
      {"PaidButStockOnHold",
       6,
       {{"inventory", "UPDATE reservation SET state = 1" + WhereOrder(5) +
                          "UPDATE sku SET sold = sold - 2, reserved = reserved + 2" + kWherePear}},
       "is PAID, its reservation HELD"},
      {"CancelledButStockKept",
       6,
       {{"inventory", "UPDATE reservation SET state = 1" + WhereOrder(2) +
                          "UPDATE sku SET initial = initial + 3, reserved = reserved + 3" + kWherePear +
                          "UPDATE stock_movement SET delta = delta + 3" + kWherePear}},
       "is CANCELLED, its reservation HELD"},
      {"ReservedForEver",
       6,
       {{"order", "UPDATE orders SET state = 1, version = 1" + WhereOrder(5) + "DELETE FROM event WHERE event_id = '" +
                      Uuid(5) + "/2'"},
        {"notify", kForget}},
       "is RESERVED and has no saga"},
      {"ChargedWithoutOrder",
       6,
       {{"payment",
         Transfer(90, 2, 3, 2, 7, Uuid(8)) + AddToAccount(3, -7) + AddToAccount(2, 7) +
             "INSERT INTO charge (order_id, state, user_id, amount, currency, transfer_id, captured) VALUES ('" +
             Uuid(8) + "', 1, 'alice', 7, 'EUR', 90, 7)"}},
       "is absent but charged"},
      {"SoldWithoutOrder",
       6,
       {{"inventory", "UPDATE reservation SET state = 2" + WhereOrder(9) +
                          "UPDATE sku SET reserved = reserved - 4, sold = sold + 4" + kWherePear}},
       "its stock was sold"},
      {"SettledThoughNeverComplete",
       6,
       {{"order", "UPDATE orders SET state = 1, version = 1" + WhereOrder(5) + "DELETE FROM event WHERE event_id = '" +
                      Uuid(5) + "/2'"},
        {"notify", kForget},
        {"payment", Transfer(90, 8, 2, 11, 195, Uuid(5)) + Transfer(91, 9, 2, 12, 5, Uuid(5)) + AddToAccount(2, -200) +
                        AddToAccount(11, 195) + AddToAccount(12, 5) + "UPDATE charge SET settled = 200, fee = 5" +
                        WhereOrder(5)}},
       "its charge is settled, but it never was PAID"},
      // I7
      {"SagaNeverEnds",
       7,
       {{"order", "INSERT INTO saga (type, id, version, data, owner, lease_until) VALUES ('create', '" + Uuid(1) +
                      "', 1, '', 'me', now())"}},
       "has not ended"},
  };
}

INSTANTIATE_TEST_SUITE_P(Settled, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
