// I1: stock, in SQL and in the gate.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

using testing::HasSubstr;

TEST_F(CheckerTest, GateAboveSqlIsCaughtBelowIsNoted) {
  SetGate(kApple, Available()[kApple] + 1);
  EXPECT_THAT(Violated(), testing::ElementsAre(1)) << text_;
  SetGate(kApple, Available()[kApple] - 1);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, HasSubstr("note: SKU " + kApple + ": Redis has 102, SQL 103"));
  SetGate(kApple, Available()[kApple]);
}

TEST_F(CheckerTest, AGateOfSegmentsIsJudgedByTheirSum) {
  options_.gate_segments = 2;
  const std::string second = "flotilla:stock:{" + kApple + "~1}";
  EXPECT_THAT(Violated(), testing::IsEmpty()) << "one segment is not known: " << text_;
  Redis({"SET", second, "1"});
  EXPECT_THAT(Violated(), testing::ElementsAre(1)) << text_;
  SetGate(kApple, Available()[kApple] - 1);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, testing::Not(HasSubstr("note: SKU " + kApple)));
  SetGate(kApple, Available()[kApple]);
  Redis({"DEL", second});
}

std::vector<Bug> Bugs() {
  return {
      {"StockAppears", 1, {{"inventory", "UPDATE sku SET initial = initial + 1" + kWhereApple}}, "initial 101"},
      {"NegativeStock",
       1,
       {{"inventory", "UPDATE sku SET available = -1, initial = reserved + sold - adjusted - 1" + kWhereApple}},
       "negative"},
      {"SoldWithoutReservation",
       1,
       {{"inventory", "UPDATE sku SET sold = sold + 1, initial = initial + 1" + kWhereApple}},
       "confirmed reservations"},
      {"LeakedHold",
       1,
       {{"inventory", "UPDATE sku SET reserved = reserved + 1, initial = initial + 1" + kWherePear}},
       "its holds come to 4"},
      {"LostMovement", 1, {{"inventory", "DELETE FROM stock_movement WHERE reference = 'b'"}}, "come to 10"},
      {"LostFirstMovement",
       1,
       {{"inventory", "DELETE FROM stock_movement WHERE reason = 1 AND sku = '" + kApple + "'"}},
       "initial is 100, its first movement 0"},
      {"MovementOfUnknownSku",
       1,
       {{"inventory", "INSERT INTO stock_movement (sku, delta, reason, reference) VALUES ('ghost', 1, 2, 'c')"}},
       "SKU ghost"},
      {"PurchaseStaysAfterRelease",
       1,
       {{"inventory", "INSERT INTO purchase (sku, user_id, order_id, units, user_limit) VALUES ('" + kPear +
                          "', 'bob', '" + Uuid(2) + "', 3, 5)"}},
       "by bob in order " + Uuid(2) + ": is no line"},
      {"PurchaseOfOtherUnits", 1, {{"inventory", "UPDATE purchase SET units = 1"}}, "purchase of 1 units"},
      {"ForgottenPurchase", 1, {{"inventory", "DELETE FROM purchase"}}, "alice, who has no purchase"},
      {"LimitExceeded", 1, {{"inventory", "UPDATE purchase SET user_limit = 1"}}, "has 2 units"},
      {"LostStockEvent",
       1,
       {{"inventory", "DELETE FROM event"},
        {"notify",
         "DELETE FROM handled_event WHERE event_id LIKE 'inventory:%'; DELETE FROM notification WHERE "
         "event_id LIKE 'inventory:%'"}},
       "its row tells of 1"},
      {"StockEventOutOfOrder",
       1,
       {{"inventory", "UPDATE event SET sequence = 2, event_id = '" + kPear + "/2'"},
        {"notify", "UPDATE handled_event SET event_id = 'inventory:" + kPear +
                       "/2' WHERE event_id LIKE 'inventory:%'; "
                       "UPDATE notification SET event_id = 'inventory:" +
                       kPear + "/2' WHERE event_id LIKE 'inventory:%'"}},
       "1 events up to 2"},
      {"HoldOfUnknownSku",
       1,
       {{"inventory", "INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency) VALUES ('" +
                          Uuid(8) + "', 1, '{ghost}', '{1}', '{1}', 'EUR')"}},
       "SKU ghost"},
      {"MalformedReservation",
       1,
       {{"inventory", "INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency) VALUES ('" +
                          Uuid(8) + "', 1, '{}', '{}', '{}', 'EUR')"}},
       "malformed"},
  };
}

INSTANTIATE_TEST_SUITE_P(Stock, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
