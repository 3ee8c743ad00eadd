// I3 and I5: what clients were told, and that keys count once.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

using testing::HasSubstr;

TEST_F(CheckerTest, ClientLogMayOnlyBeCutOffAtItsEnd) {
  WriteLog(GoodLog() + R"({"type":"invoke","op":"cre)");
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  WriteLog("nonsense\n" + GoodLog());
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kInvalidArgument);
  WriteLog(R"({"type":"maybe","op":"create_order"})"
           "\n");
  EXPECT_THAT(std::string(Check(options_).status().message()), HasSubstr(":1: type \"maybe\" is none"));
}

std::vector<Bug> Bugs() {
  return {
      // I3
      {"AcknowledgedOrderIsLost",
       3,
       {{"order", "DELETE FROM orders" + WhereOrder(2) + "DELETE FROM event WHERE stream_id = '" + Uuid(2) + "'"},
        {"notify", "DELETE FROM handled_event WHERE event_id LIKE '" + Uuid(2) +
                       "/%'; DELETE FROM notification WHERE user_id = 'bob'"}},
       "was acknowledged but does not exist"},
      {"AcknowledgedInAStateItNeverHad",
       3,
       {{"log", Call("ok", "bob", "k1", "A", 9, Answer(kBob, 2))}},
       "was answered as PAID, is CANCELLED"},
      {"RefusedOrderExists",
       3,
       {{"log", Call("invoke", "alice", "k2", "A", 1) + Call("fail", "alice", "k2", "A", 2, Refusal("OUT_OF_STOCK"))}},
       "was refused, but order"},
      {"CancelWasNotDone",
       3,
       {{"log", R"({"type":"ok","op":"cancel_order","user":"alice",)" + Answer(kAgain, 3) + "}\n"}},
       "was answered as CANCELLED, is PAID"},
      // I5
      {"TwoOrdersOfOneKey", 5, {{"order", "UPDATE orders SET idempotency_key = 'k1'" + WhereOrder(5)}}, "2 orders"},
      {"ReservedOtherLines",
       5,
       {{"inventory", "UPDATE reservation SET unit_prices = '{99}'" + WhereOrder(2)}},
       "other lines"},
      {"TwoReservations",
       5,
       {{"inventory", "INSERT INTO reservation SELECT * FROM reservation" + WhereOrder(2)}},
       "has two reservations"},
      {"ChargedAnotherAmount",
       5,
       {{"payment", "UPDATE charge SET amount = amount + 1, captured = captured + 1" + WhereOrder(1) +
                        "UPDATE transfer SET amount = amount + 1 WHERE transfer_id = 10;" + AddToAccount(3, -1) +
                        AddToAccount(2, 1)}},
       "total is 600 EUR, the charge 601 EUR"},
      {"AnotherUserWasCharged",
       5,
       {{"payment", "UPDATE charge SET user_id = 'bob'" + WhereOrder(1) +
                        "UPDATE transfer SET debit_account = 4 WHERE transfer_id = 10;" + AddToAccount(3, 600) +
                        AddToAccount(4, -600)}},
       "user bob was charged"},
      {"AnsweredWithTwoOrders",
       5,
       {{"log", Call("invoke", "alice", "k1", "A", 20) + Call("ok", "alice", "k1", "A", 21, Answer(kAgain, 2))}},
       "answered with the orders"},
      {"TwoBodiesAccepted",
       5,
       {{"log", Call("invoke", "alice", "k1", "D", 20) + Call("ok", "alice", "k1", "D", 21, Answer(kAlice, 2))}},
       "two bodies were accepted"},
      {"OtherBodyRefusedWrongly",
       5,
       {{"log", Call("invoke", "alice", "k1", "D", 20) + Call("fail", "alice", "k1", "D", 21, Refusal("UNKNOWN_SKU"))}},
       "and not as IDEMPOTENCY_KEY_REUSED"},
      {"RepeatRefusedAsReused",
       5,
       {{"log",
         Call("invoke", "bob", "k1", "A", 20) + Call("fail", "bob", "k1", "A", 21, Refusal("IDEMPOTENCY_KEY_REUSED"))}},
       "there was one body only"},
  };
}

INSTANTIATE_TEST_SUITE_P(Clients, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
