// I2: the ledger.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

std::vector<Bug> Bugs() {
  return {
      {"MoneyAppears", 2, {{"payment", AddToAccount(3, 1)}}, "add up to 1"},
      {"MoneyMovesWithoutTransfer",
       2,
       {{"payment", AddToAccount(3, 1) + AddToAccount(4, -1)}},
       "its transfers come to"},
      {"Overdraft",
       2,
       {{"payment", Transfer(90, 1, 4, 3, 3000, "d9") + AddToAccount(4, -3000) + AddToAccount(3, 3000)}},
       "balance is -1000"},
      {"NegativeTransfer",
       2,
       {{"payment", Transfer(90, 1, 3, 1, -5, "d9") + AddToAccount(3, 5) + AddToAccount(1, -5)}},
       "amount is -5"},
      {"TransferToItself", 2, {{"payment", Transfer(90, 1, 3, 3, 5, "d9")}}, "debits and credits one account"},
      {"MixedCurrencies", 2, {{"payment", "UPDATE transfer SET currency = 'USD' WHERE transfer_id = 1"}}, "USD moved"},
      {"ChargeWithoutTransfer",
       2,
       {{"payment", "DELETE FROM transfer WHERE transfer_id = 10;" + AddToAccount(3, 600) + AddToAccount(2, -600)}},
       "its transfer does not exist"},
      {"ChargedTwice",
       2,
       {{"payment", Transfer(90, 2, 3, 2, 600, Uuid(1)) + AddToAccount(3, -600) + AddToAccount(2, 600)}},
       "was taken more than once"},
      {"PartOfTheRefund",
       2,
       {{"payment",
         "UPDATE transfer SET amount = 249 WHERE transfer_id = 31;" + AddToAccount(5, -1) + AddToAccount(2, 1)}},
       "refunded is 250, its transfers come to 249"},
      {"RefundToAnother",
       2,
       {{"payment", "UPDATE transfer SET credit_account = 4 WHERE transfer_id = 31;" + AddToAccount(5, -250) +
                        AddToAccount(4, 250)}},
       "went back to somebody else"},
      {"RefundedMoreThanCaptured",
       2,
       {{"payment", Transfer(90, 3, 2, 5, 1, Uuid(3)) + AddToAccount(2, -1) + AddToAccount(5, 1) +
                        Refund(Uuid(3), 1, 90) + "UPDATE charge SET refunded = 251" + WhereOrder(3)}},
       "251 refunded of 250 captured"},
      {"RefundRowWithoutMoney", 2, {{"payment", Refund(Uuid(1), 5, 10)}}, "refunded is 0, its refunds come to 5"},
      {"SettledWithoutTransfers",
       2,
       {{"payment", "UPDATE charge SET settled = 600, fee = 15" + WhereOrder(1)}},
       "settled 600 with fee 15"},
      {"HeldMoneyForgotten",
       2,
       {{"payment",
         Transfer(90, 4, 3, 7, 50, Uuid(4)) + AddToAccount(3, -50) +
             "INSERT INTO account (account_id, owner, kind, currency, balance) VALUES (7, 'hold', 4, 'EUR', 50)"}},
       "50 was held"},
      {"WrongWay",
       2,
       {{"payment", Transfer(90, 5, 3, 2, 600, Uuid(1)) + AddToAccount(3, -600) + AddToAccount(2, 600)}},
       "kind 5 goes from an account of kind 1 to one of kind 2"},
      {"SettledMoreThanIsLeft",
       2,
       {{"payment", "UPDATE charge SET settled = 201, fee = 6" + WhereOrder(6) +
                        "UPDATE transfer SET amount = 6 WHERE transfer_id = 63;" + AddToAccount(2, -1) +
                        AddToAccount(12, 1)}},
       "of 300 captured 201 were settled and 100 given back from escrow"},
      {"FeeKept",
       2,
       {{"payment", "UPDATE charge SET fee_refunded = 4" + WhereOrder(6) +
                        "UPDATE transfer SET amount = 196 WHERE transfer_id = 64; UPDATE transfer SET amount = 4 WHERE "
                        "transfer_id = 65;" +
                        AddToAccount(11, -1) + AddToAccount(12, 1)}},
       "of its fee 4 went back for 200 of 200"},
      {"SettlementPassedItOver",
       2,
       {{"payment", "UPDATE settlement_cursor SET transfer_id = 10"}},
       "charge of order " + Uuid(1) + ": the settlement passed it over"},
      {"WaitsForItsSettlementNoMore",
       2,
       {{"payment",
         "UPDATE settlement_cursor SET transfer_id = 60; INSERT INTO settlement_wait (order_id, charged_at, "
         "standing, ask_at) SELECT order_id, now(), 2, now() FROM charge WHERE state = 1 AND order_id <> '" +
             Uuid(1) + "'"}},
       "charge of order " + Uuid(1) + ": the settlement passed it over"},
      {"BlockIsMissing", 2, {{"payment", "UPDATE journal_block SET number = 2"}}, "block 2 of the journal: follows 0"},
      {"BlockOfFewerTransfers",
       2,
       {{"payment", "UPDATE journal_block SET transfers = 3"}},
       "was made of 3 transfers, there are 4"},
      {"PaidWithoutAWord", 2, {{"payment", "DELETE FROM provider_event"}}, "the provider never said so"},
      {"WordWithoutConsequence",
       2,
       {{"payment", "UPDATE provider_event SET order_id = '" + Uuid(8) + "'"}},
       "the provider spoke of it, but was not asked"},
      {"WordOnAnotherAmount", 2, {{"payment", "UPDATE provider_event SET amount = 299"}}, "spoke of another amount"},
      {"LostPaymentEvent", 2, {{"payment", "DELETE FROM event"}}, "0 events up to 0, its charge tells of 1"},
      {"CorrectionOfNothing",
       2,
       {{"payment", Transfer(90, 12, 1, 10, 5, "2") + AddToAccount(1, -5) + AddToAccount(10, 5)}},
       "correction 90: belongs to no difference"},
      {"CorrectedWithoutTransfer",
       2,
       {{"payment", "DELETE FROM transfer WHERE transfer_id = 70;" + AddToAccount(10, 7) + AddToAccount(1, -7)}},
       "its correction 70 does not exist"},
      {"CorrectedByHalf",
       2,
       {{"payment",
         "UPDATE transfer SET amount = 3 WHERE transfer_id = 70;" + AddToAccount(10, 4) + AddToAccount(1, -4)}},
       "is about 7 EUR, its correction 3 EUR"},
      {"CorrectedTheWrongWay",
       2,
       {{"payment", "UPDATE transfer SET debit_account = 1, credit_account = 10 WHERE transfer_id = 70;" +
                        AddToAccount(10, 14) + AddToAccount(1, -14)}},
       "its correction goes the wrong way"},
      {"DismissedButCorrected", 2, {{"payment", "UPDATE difference SET state = 4"}}, "has a correction but is not"},
      {"OneCorrectionForTwo",
       2,
       {{"payment",
         "UPDATE provider_statement SET lines = 4; INSERT INTO statement_line VALUES ('s', 5, 'stranger', 1, 7, "
         "'EUR', now(), NULL); INSERT INTO difference (statement_id, class, line, provider_reference, kind, "
         "theirs, ours, currency, state, operator, note, correction_id, closed_at) SELECT 's', 1, 5, "
         "'stranger', 1, 7, 0, 'EUR', 3, 'olga', 'why', 70, now()"}},
       "shares its correction 70"},
      {"LineWithoutMatchOrDifference",
       2,
       {{"payment", "UPDATE statement_line SET transfer_id = NULL WHERE line = 3"}},
       "line 3 of statement s: is not matched and has 0 differences"},
      {"MatchedWithAnother",
       2,
       {{"payment", "UPDATE statement_line SET transfer_id = 64 WHERE line = 3"}},
       "is not what it was matched with, transfer 64"},
      {"MatchedTwice",
       2,
       {{"payment",
         "DROP INDEX statement_line_transfer;"
         "UPDATE provider_statement SET lines = 4; INSERT INTO statement_line VALUES ('s', 5, 'pay_6', 1, 300, "
         "'EUR', now(), 60)"}},
       "transfer 60: 2 lines and differences of statements have it"},
      {"ClosedTooSoon",
       2,
       {{"payment",
         "UPDATE difference SET state = 1, correction_id = NULL; DELETE FROM transfer WHERE transfer_id = 70;" +
             AddToAccount(10, 7) + AddToAccount(1, -7)}},
       "statement s: is closed with 1 open differences"},
      {"NeitherLineNorDifference",
       2,
       {{"payment",
         "UPDATE provider_statement SET period_start = now() - interval '1 hour', period_end = now() + interval '1 "
         "hour'"}},
       "transfer 64: statement s has neither a line nor a difference for it"},
      {"WithdrawnButMatched",
       2,
       {{"payment", "UPDATE provider_statement SET state = 3"}},
       "line 2 of statement s: is of a withdrawn statement, but has a match"},
      {"LostLine", 2, {{"payment", "DELETE FROM statement_line WHERE line = 3"}}, "statement s: has 2 lines of 3"},
      // What clients were told.
      {"ToldButNotDone",
       2,
       {{"log", MoneyCall("invoke", "charge", 8, "bob", R"("amount":5)") +
                    MoneyCall("ok", "charge", 8, "bob", R"("amount":5,"moved":5)")}},
       "charge of order " + Uuid(8) + ": the client was told 5, the ledger has 0"},
      {"RefusedButDone",
       2,
       {{"log", MoneyCall("invoke", "refund", 6, "", R"("key":"r2")") +
                    MoneyCall("fail", "refund", 6, "", R"("key":"r2","reason":"CHARGE_REFUNDED")")}},
       "refund r2 of order " + Uuid(6) + ": was refused, but the ledger has 200"},
      {"NobodyAsked",
       2,
       {{"log", MoneyCall("invoke", "refund", 6, "", R"("key":"r2")") +
                    MoneyCall("ok", "refund", 6, "", R"("key":"r2","moved":200)")}},
       "refund r1 of order " + Uuid(6) + ": 100 that nobody asked for"},
      {"OneKeyTwoAnswers",
       2,
       {{"log", MoneyCall("invoke", "capture", 7, "", R"("amount":31)") +
                    MoneyCall("ok", "capture", 7, "", R"("amount":31,"moved":31)")}},
       "clients were told 30 and 31"},
      {"AnotherPaid",
       2,
       {{"log", MoneyCall("invoke", "charge", 1, "bob", R"("amount":600)") +
                    MoneyCall("ok", "charge", 1, "bob", R"("amount":600,"moved":600)")}},
       "user bob asked, alice paid"},
      {"AnotherAmountThanAsked",
       2,
       {{"log", MoneyCall("invoke", "charge", 1, "alice", R"("amount":599)")}},
       "the ledger has 600, which was not asked for"},
      {"VoidedButKept",
       2,
       {{"log", MoneyCall("invoke", "void", 7, "", R"("amount":0)") + MoneyCall("ok", "void", 7, "", R"("moved":50)")}},
       "void of order " + Uuid(7) + ": the client was told 50, the ledger has 20"},
  };
}

INSTANTIATE_TEST_SUITE_P(Ledger, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
