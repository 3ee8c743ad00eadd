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
  };
}

INSTANTIATE_TEST_SUITE_P(Ledger, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
