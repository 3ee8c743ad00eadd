// Refunds and external payments, on the real fleet.
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/payment/v1/ledger_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_AWAITING_PAYMENT;
using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;
using order::v1::ORDER_STATE_PARTIALLY_REFUNDED;
using order::v1::ORDER_STATE_REFUNDED;
using payment::v1::LedgerService;

class Payments : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet;
    fleet->Start("inventory");
    fleet->Start("payment", {"--provider_secrets=new-secret,old-secret"});
    fleet->Start("notify");
    fleet->Start("order");
    fleet->Start("order", {"--payment_window=5s"});
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1", "order-2"}) {
      fleet->WaitServing(instance);
    }
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
    fleet = nullptr;
  }

  static Result Refund(const std::string& user, const std::string& order_id, const fleet::Refund& refund) {
    return RefundOrder(*fleet->orders(), user, order_id, refund);
  }
  static Result CreateExternal(const std::string& user, const std::string& key, const Items& items,
                               const std::string& instance = "order-1") {
    return PlaceOrder(*fleet->orders(instance), user, key, items, order::v1::PAYMENT_METHOD_EXTERNAL);
  }
  static bool Becomes(const std::string& user, const std::string& order_id, order::v1::OrderState state) {
    auto stub = fleet->orders();
    return Eventually([&] { return GetOrder(*stub, user, order_id).order.state() == state; }, absl::Seconds(60));
  }
  static std::int64_t ProviderOwes() {
    return -fleet->Query("payment", "SELECT coalesce(sum(balance), 0)::bigint FROM account WHERE kind = 7");
  }
  static bool Told(const std::string& order_id, const std::string& type, int times = 1) {
    return fleet->WaitForQuery(
        "payment",
        absl::StrCat("SELECT count(*) FROM event WHERE type = '", type, "' AND stream_id = '", order_id, "'"), times,
        60);
  }

  static inline Fleet* fleet = nullptr;
  Provider provider{fleet->payments(), "new-secret"};
};

TEST_F(Payments, AnOrderIsRefundedInPartsAndTheGoodsComeBackWithTheLast) {
  fleet->PutSku("refund-a", 250, 10);
  fleet->OpenWallet("rita", 1000);
  const std::string id = PlaceOrder(*fleet->orders(), "rita", "k", {{"refund-a", 4}}).order.order_id();
  const Result part = Refund("rita", id, {"r1", 300});
  ASSERT_TRUE(part.status.ok()) << part;
  EXPECT_EQ(part.order.state(), ORDER_STATE_PARTIALLY_REFUNDED);
  EXPECT_EQ(part.order.refunded().minor_units(), 300);
  EXPECT_EQ(fleet->Balance("rita"), 300);
  EXPECT_EQ(Refund("rita", id, {"r1", 300}).order.SerializeAsString(), part.order.SerializeAsString());
  EXPECT_EQ(Refund("rita", id, {"r1", 299}).reason, "REFUND_MISMATCH");
  EXPECT_EQ(Refund("rita", id, {"r1", 300, false, "JPY"}).reason, "REFUND_MISMATCH");
  EXPECT_EQ(Refund("rita", id, {"r2", 701}).reason, "REFUND_EXCEEDS_PAID");
  EXPECT_EQ(Refund("rita", id, {"r2", 1, false, "JPY"}).reason, "CURRENCY_MISMATCH");
  EXPECT_EQ(Refund("rita", id, {"r2", 100, true}).reason, "STOCK_RETURN_NEEDS_FULL_REFUND");
  EXPECT_EQ(Refund("sam", id, {"r2"}).reason, "UNKNOWN_ORDER");
  EXPECT_EQ(fleet->Stock("refund-a").sold(), 4);

  const Result rest = Refund("rita", id, {"r2", 0, true});
  ASSERT_TRUE(rest.status.ok()) << rest;
  EXPECT_EQ(rest.order.state(), ORDER_STATE_REFUNDED);
  EXPECT_EQ(fleet->Balance("rita"), 1000);
  EXPECT_EQ(fleet->Stock("refund-a").available(), 10);
  EXPECT_EQ(Refund("rita", id, {"r1"}).reason, "REFUND_MISMATCH") << "all that was left is what r2 gave back";
  EXPECT_TRUE(Refund("rita", id, {"r1", 300}).status.ok());
  EXPECT_TRUE(Refund("rita", id, {"r2", 0, true}).status.ok());
  EXPECT_EQ(Refund("rita", id, {"r3"}).reason, "ORDER_REFUNDED");
  EXPECT_EQ(CancelOrder(*fleet->orders(), "rita", id).reason, "ORDER_REFUNDED");
}

TEST_F(Payments, AFullRefundWithoutReturnKeepsTheGoodsSold) {
  fleet->PutSku("refund-b", 100, 5);
  fleet->OpenWallet("rolf", 100);
  const std::string id = PlaceOrder(*fleet->orders(), "rolf", "k", {{"refund-b", 1}}).order.order_id();
  EXPECT_EQ(Refund("rolf", id, {"all"}).order.state(), ORDER_STATE_REFUNDED);
  EXPECT_EQ(fleet->Balance("rolf"), 100);
  EXPECT_EQ(fleet->Stock("refund-b").sold(), 1);
}

TEST_F(Payments, TheSameRefundFromManyClientsAtOnceIsOneRefund) {
  fleet->PutSku("refund-c", 10, 1000);
  fleet->OpenWallet("rosa", 1000);
  const std::string id = PlaceOrder(*fleet->orders(), "rosa", "k", {{"refund-c", 100}}).order.order_id();
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      const Result result = Refund("rosa", id, {"same", 400});
      EXPECT_TRUE(result.status.ok() || result.reason == "ORDER_BUSY") << result;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_TRUE(Becomes("rosa", id, ORDER_STATE_PARTIALLY_REFUNDED));
  EXPECT_EQ(fleet->Balance("rosa"), 400);
}

TEST_F(Payments, ACancelledOrderThatWasRefundedInPartGivesBackTheRest) {
  fleet->PutSku("refund-d", 100, 5);
  fleet->OpenWallet("ruth", 500);
  const std::string id = PlaceOrder(*fleet->orders(), "ruth", "k", {{"refund-d", 5}}).order.order_id();
  EXPECT_EQ(Refund("ruth", id, {"part", 120}).order.state(), ORDER_STATE_PARTIALLY_REFUNDED);
  EXPECT_EQ(CancelOrder(*fleet->orders(), "ruth", id).order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(fleet->Balance("ruth"), 500);
  EXPECT_EQ(fleet->Stock("refund-d").available(), 5);
}

TEST_F(Payments, ThePaidOrderGoesOnWhateverElseTheProviderSends) {
  fleet->PutSku("ext-a", 500, 10);
  const std::int64_t owed = ProviderOwes();
  const Result created = CreateExternal("erna", "k", {{"ext-a", 2}});
  ASSERT_TRUE(created.status.ok()) << created;
  EXPECT_EQ(created.order.state(), ORDER_STATE_AWAITING_PAYMENT);
  EXPECT_FALSE(created.order.payment_reference().empty());
  EXPECT_TRUE(created.order.has_pay_by_time());
  EXPECT_EQ(CreateExternal("erna", "k", {{"ext-a", 2}}).order.SerializeAsString(), created.order.SerializeAsString());
  EXPECT_EQ(fleet->Stock("ext-a").reserved(), 2);

  const std::string id = created.order.order_id();
  const Callback word{.event_id = "evt-a", .reference = created.order.payment_reference(), .amount = 1000};
  Callback wrong = word;
  wrong.amount = 1;
  Callback unknown = word;
  unknown.reference = "pay_of_nobody";
  Callback stale = word;
  stale.age = absl::Minutes(6);
  Callback no = word;
  no.succeeded = false;
  EXPECT_EQ(provider.Forge(word), "BAD_SIGNATURE");
  EXPECT_EQ(provider.Send(stale), "STALE_TIMESTAMP");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(provider.Send(wrong), "AMOUNT_MISMATCH");
  EXPECT_TRUE(Told(id, "payment.wrong_amount"));
  EXPECT_TRUE(fleet->WaitForQuery("notify",
                                  absl::StrCat("SELECT count(*) FROM notification WHERE user_id = 'operations' AND "
                                               "event_id = 'payment:",
                                               id, "/1'"),
                                  1, 60))
      << "nobody was told";
  EXPECT_EQ(provider.Send(unknown), "UNKNOWN_REFERENCE");
  EXPECT_EQ(GetOrder(*fleet->orders(), "erna", id).order.state(), ORDER_STATE_AWAITING_PAYMENT);
  EXPECT_EQ(provider.Send(word), "");
  EXPECT_EQ(Provider(fleet->payments(), "old-secret").Send(word), "");
  EXPECT_EQ(provider.Send(no), "EVENT_REUSED");
  EXPECT_TRUE(Becomes("erna", id, ORDER_STATE_PAID));
  EXPECT_EQ(fleet->Stock("ext-a").sold(), 2);
  EXPECT_EQ(ProviderOwes() - owed, 1000);

  no.event_id = "evt-a-no";
  EXPECT_EQ(provider.Send(no), "");
  EXPECT_TRUE(Told(id, "payment.conflict", 2));  // under an event id that was used, and under its own
  EXPECT_EQ(GetOrder(*fleet->orders(), "erna", id).order.state(), ORDER_STATE_PAID);
  // Refunds of an external payment go back to the provider.
  EXPECT_EQ(Refund("erna", id, {"r", 0, true}).order.state(), ORDER_STATE_REFUNDED);
  EXPECT_EQ(ProviderOwes(), owed);
}

TEST_F(Payments, AFailedPaymentGivesTheStockBack) {
  fleet->PutSku("ext-b", 500, 10);
  const Result created = CreateExternal("emil", "k", {{"ext-b", 3}});
  Callback no{.event_id = "evt-b", .reference = created.order.payment_reference(), .succeeded = false, .amount = 1500};
  EXPECT_EQ(provider.Send(no), "");
  EXPECT_TRUE(Becomes("emil", created.order.order_id(), ORDER_STATE_CANCELLED));
  EXPECT_EQ(GetOrder(*fleet->orders(), "emil", created.order.order_id()).order.cancel_reason(), "PAYMENT_FAILED");
  EXPECT_EQ(fleet->Stock("ext-b").available(), 10);
}

TEST_F(Payments, AnUnpaidOrderIsCancelledAndLateMoneyGoesBackByItself) {
  fleet->PutSku("ext-c", 500, 10);
  const std::int64_t owed = ProviderOwes();
  const Result created = CreateExternal("ella", "k", {{"ext-c", 3}}, "order-2");
  ASSERT_EQ(created.order.state(), ORDER_STATE_AWAITING_PAYMENT) << created;
  const std::string id = created.order.order_id();
  EXPECT_TRUE(Becomes("ella", id, ORDER_STATE_CANCELLED));
  EXPECT_EQ(GetOrder(*fleet->orders(), "ella", id).order.cancel_reason(), "PAYMENT_EXPIRED");
  EXPECT_EQ(fleet->Stock("ext-c").available(), 10);
  EXPECT_EQ(provider.Send({.event_id = "evt-c", .reference = created.order.payment_reference(), .amount = 1500}), "");
  EXPECT_TRUE(Told(id, "payment.late_refunded"));
  EXPECT_EQ(ProviderOwes(), owed);
}

TEST_F(Payments, AUserMayCancelWhileThePaymentIsAwaited) {
  fleet->PutSku("ext-d", 500, 10);
  const std::int64_t owed = ProviderOwes();
  const Result created = CreateExternal("egon", "k", {{"ext-d", 1}});
  const std::string id = created.order.order_id();
  EXPECT_EQ(Refund("egon", id, {"r"}).reason, "ORDER_NOT_PAID");
  EXPECT_EQ(CancelOrder(*fleet->orders(), "egon", id).order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(fleet->Stock("ext-d").available(), 10);
  EXPECT_EQ(provider.Send({.event_id = "evt-d", .reference = created.order.payment_reference(), .amount = 500}), "");
  EXPECT_EQ(ProviderOwes(), owed);
}

TEST_F(Payments, AStormOfCallbacksWithPaymentKilledInItEndsEveryOrderOnce) {
  constexpr int kOrders = 24;
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  fleet->PutSku("ext-storm", 100, 1000);
  const std::int64_t owed = ProviderOwes();
  std::vector<std::string> ids, references;
  for (int i = 0; i < kOrders; ++i) {
    const Result created = CreateExternal("storm", absl::StrCat("k", i), {{"ext-storm", 1}});
    ASSERT_EQ(created.order.state(), ORDER_STATE_AWAITING_PAYMENT) << created;
    ids.push_back(created.order.order_id());
    references.push_back(created.order.payment_reference());
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Provider sender(fleet->payments(), "new-secret");
      for (int i = t; i < kOrders; i += 3) {
        EXPECT_EQ(sender.Storm(references[i], 100, seed + static_cast<unsigned>(i)), "") << ids[i];
      }
    });
  }
  fleet->WaitForQuery("payment", "SELECT (count(*) > 5)::int FROM provider_event", 1, 30);
  fleet->Kill("payment-1");
  fleet->Restart("payment-1");
  for (auto& thread : threads) thread.join();
  for (const std::string& id : ids) EXPECT_TRUE(Becomes("storm", id, ORDER_STATE_PAID)) << id;
  EXPECT_EQ(ProviderOwes() - owed, 100 * kOrders);
  EXPECT_EQ(fleet->Stock("ext-storm").sold(), kOrders);
}

// What was checked when the refund began is true: a refusal later on is a fault, and once that is mended the money goes
// back after all.
TEST_F(Payments, ARefundThatWasRefusedOnceGoesForwardAgain) {
  fleet->PutSku("refund-f", 100, 5);
  fleet->OpenWallet("remo", 100);
  const std::string id = PlaceOrder(*fleet->orders(), "remo", "k", {{"refund-f", 1}}).order.order_id();
  const auto spoil = [&](const std::string& currency) {
    fleet->Query("payment",
                 absl::StrCat("UPDATE charge SET currency = '", currency, "' WHERE order_id = '", id, "' RETURNING 1"));
  };
  spoil("JPY");
  EXPECT_EQ(RefundOrder(*fleet->orders(), "remo", id, {"r", 40}, 10000).order.state(),
            order::v1::ORDER_STATE_REFUNDING);
  EXPECT_TRUE(fleet->WaitForQuery("order",
                                  absl::StrCat("SELECT (count(*) > 0)::int FROM saga_history WHERE id = '", id,
                                               "' AND step = 'refund' AND error LIKE 'CURRENCY_MISMATCH%'"),
                                  1, 60));
  EXPECT_EQ(fleet->Query("order", absl::StrCat("SELECT direction FROM saga WHERE id = '", id, "'")), 0);
  spoil("EUR");
  EXPECT_TRUE(Becomes("remo", id, ORDER_STATE_PARTIALLY_REFUNDED));
  EXPECT_EQ(fleet->Balance("remo"), 40);
}

TEST_F(Payments, RefundsGoOnThroughAKillOfPayment) {
  constexpr int kOrders = 30;
  fleet->PutSku("refund-kill", 10, 1000);
  fleet->OpenWallet("kai", 10 * kOrders);
  std::vector<std::string> ids;
  for (int i = 0; i < kOrders; ++i) {
    ids.push_back(PlaceOrder(*fleet->orders(), "kai", absl::StrCat("k", i), {{"refund-kill", 1}}).order.order_id());
  }
  std::thread refunds([&] {
    for (const std::string& id : ids) Refund("kai", id, {"r", 4});
  });
  fleet->WaitForQuery("payment", "SELECT (count(*) > 3)::int FROM refund WHERE refund_id = 'r'", 1, 30);
  fleet->Kill("payment-1");
  fleet->Restart("payment-1");
  refunds.join();
  // Clients that got no answer ask again.
  for (const std::string& id : ids) {
    EXPECT_TRUE(Eventually([&] { return Refund("kai", id, {"r", 4}).status.ok(); }, absl::Seconds(60)));
    EXPECT_TRUE(Becomes("kai", id, ORDER_STATE_PARTIALLY_REFUNDED));
  }
  EXPECT_EQ(fleet->Balance("kai"), 4 * kOrders);
}

TEST_F(Payments, OperatorsSeeABalancedAndUntamperedLedger) {
  auto ledger = LedgerService::NewStub(fleet->channel("payment-1"));
  payment::v1::GetTrialBalanceResponse trial;
  ASSERT_TRUE(Call(*ledger, &LedgerService::Stub::GetTrialBalance, "", {}, &trial).status.ok());
  EXPECT_TRUE(trial.balanced());
  EXPECT_GE(trial.lines_size(), 3);
  EXPECT_TRUE(Eventually(
      [&] {
        payment::v1::VerifyJournalResponse verified;
        EXPECT_TRUE(Call(*ledger, &LedgerService::Stub::VerifyJournal, "", {}, &verified).status.ok());
        EXPECT_TRUE(verified.intact()) << verified.problem();
        return verified.blocks() > 0 && verified.uncovered() == 0;
      },
      absl::Seconds(60)));
  payment::v1::GetStatementRequest request;
  request.set_kind(payment::v1::ACCOUNT_KIND_WALLET);
  request.set_user_id("nobody");
  request.set_currency_code("EUR");
  payment::v1::GetStatementResponse statement;
  EXPECT_EQ(Call(*ledger, &LedgerService::Stub::GetStatement, "", request, &statement).reason, "UNKNOWN_ACCOUNT");
}

}  // namespace
}  // namespace flotilla::fleet
