// The settlement's whole schedule on the real services: nothing before its order's completion and its time, everything
// once, no unit lost, and what is refunded afterwards taken back in proportion, though payment is killed in the middle.
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "gtest/gtest.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using payment::v1::PaymentService;

constexpr int kOrders = 20'000;  // forty batches of the settlement
constexpr int kBatch = 1'000;    // requests a call

std::int64_t AmountOf(int number) { return 1 + number % 997; }

template <class Request>
Request OrderOf(int number) {
  Request request;
  request.set_order_id(absl::StrFormat("00000000-0000-7000-8000-%012d", number));
  return request;
}

payment::v1::ChargeRequest ChargeOf(int number) {
  auto request = OrderOf<payment::v1::ChargeRequest>(number);
  request.set_user_id("sue");
  request.mutable_amount()->set_currency_code("EUR");
  request.mutable_amount()->set_minor_units(AmountOf(number));
  return request;
}

// Sends `make(number)` for all orders.
template <class Request, class Response, class Method, class Make>
void SendAll(Fleet& fleet, Method method, Make make) {
  const auto stub = fleet.payments();
  for (int first = 0; first < kOrders; first += kBatch) {
    Request batch;
    for (int i = first; i < first + kBatch; ++i) *batch.add_requests() = make(i);
    Response response;
    const Result result = Call(*stub, method, "", batch, &response, 30000);
    ASSERT_TRUE(result.status.ok()) << result;
    for (const auto& item : response.results()) ASSERT_FALSE(item.has_error()) << item.error().message();
  }
}

payment::v1::RefundRequest ThirdOf(int number) {
  auto request = OrderOf<payment::v1::RefundRequest>(number);
  request.set_refund_id("part");
  request.mutable_amount()->set_currency_code("EUR");
  request.mutable_amount()->set_minor_units((AmountOf(number) + 2) / 3);
  return request;
}

TEST(Settlement, OfEveryChargeOnceWhenItIsDueThroughAKill) {
  Fleet fleet;
  const std::vector<std::string> instances = {fleet.Start("inventory"), fleet.Start("notify"), fleet.Start("order"),
                                              fleet.Start("payment", {"--settle_after=10s", "--settle_on=charge",
                                                                      "--fee_basis_points=333", "--minimum_fee=3"})};
  for (const std::string& instance : instances) fleet.WaitServing(instance);
  const auto query = [&](const std::string& sql) { return fleet.Query("payment", sql); };
  const auto balance = [&](int kind) {
    return query(absl::StrCat("SELECT coalesce(sum(balance), 0)::bigint FROM account WHERE kind = ", kind));
  };
  std::int64_t total = 0;
  for (int i = 0; i < kOrders; ++i) total += AmountOf(i);
  fleet.OpenWallet("sue", total);
  SendAll<payment::v1::BatchChargeRequest, payment::v1::BatchChargeResponse>(fleet, &PaymentService::Stub::BatchCharge,
                                                                             ChargeOf);

  // Killed in the middle: behind a batch, or between a batch and the step of the cursor.
  ASSERT_TRUE(fleet.WaitForQuery("payment", "SELECT (count(*) >= 500)::int FROM charge WHERE settled > 0", 1, 60));
  fleet.Kill("payment-1");
  EXPECT_LT(query("SELECT count(*) FROM charge WHERE settled > 0"), kOrders) << "the kill came too late to tell";
  fleet.Restart("payment-1");
  ASSERT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM charge WHERE settled > 0", kOrders, 120));
  fleet.WaitServing("payment-1");

  EXPECT_EQ(query("SELECT count(*) FROM transfer s JOIN transfer c ON c.reference = s.reference AND c.kind = 2 "
                  "WHERE s.kind IN (8, 9) AND s.created_at < c.created_at + interval '10 seconds'"),
            0)
      << "settled before their time";
  EXPECT_EQ(query("SELECT count(*) FROM (SELECT 1 FROM transfer WHERE kind IN (8, 9) GROUP BY reference, kind "
                  "HAVING count(*) > 1) twice"),
            0);
  EXPECT_EQ(query("SELECT count(*) FROM charge WHERE settled <> amount "
                  "OR fee <> least(amount, greatest(amount * 333 / 10000, 3))"),
            0);
  EXPECT_EQ(balance(2), 0) << "left in escrow";
  EXPECT_EQ(balance(5) + balance(6), total);

  // A third of each goes back, then the rest.
  SendAll<payment::v1::BatchRefundRequest, payment::v1::BatchRefundResponse>(fleet, &PaymentService::Stub::BatchRefund,
                                                                             ThirdOf);
  EXPECT_EQ(query("SELECT count(*) FROM charge WHERE fee_refunded <> fee * refunded / settled"), 0);
  EXPECT_EQ(balance(5) + balance(6), total - fleet.Balance("sue"));
  SendAll<payment::v1::BatchRefundRequest, payment::v1::BatchRefundResponse>(fleet, &PaymentService::Stub::BatchRefund,
                                                                             OrderOf<payment::v1::RefundRequest>);
  EXPECT_EQ(fleet.Balance("sue"), total);
  EXPECT_EQ(balance(5), 0);
  EXPECT_EQ(balance(6), 0);
  EXPECT_EQ(fleet.Check(), "");
}

// Paid orders of one user, 100 each, on a fleet whose payment settles by their completion.
class SettlementOfOrders : public testing::Test {
 protected:
  explicit SettlementOfOrders(const FleetOptions& options = {}, const std::string& settle_after = "1s")
      : fleet(options) {
    for (const char* service : {"inventory", "notify", "order"}) fleet.Start(service);
    fleet.Start("payment", {"--settle_after=" + settle_after, "--fee_basis_points=1000", "--provider_secrets=secret"});
    for (const char* instance : {"inventory-1", "notify-1", "order-1", "payment-1"}) fleet.WaitServing(instance);
    fleet.PutSku("thing", 100, 1000);
    fleet.OpenWallet("sue", 100'000);
  }
  std::string Order(const std::string& key) {
    const Result result = PlaceOrder(*fleet.orders(), "sue", key, {{"thing", 1}});
    EXPECT_EQ(result.order.state(), order::v1::ORDER_STATE_PAID) << result;
    return result.order.order_id();
  }
  static std::string Where(const std::string& order) { return " WHERE order_id = '" + order + "'"; }
  std::string SettledOf(const std::string& order) { return "SELECT settled FROM charge" + Where(order); }
  std::string StandingOf(const std::string& order) {
    return "SELECT coalesce(max(standing), 0) FROM settlement_wait" + Where(order);
  }
  bool BecomesSettled(const std::string& order) { return fleet.WaitForQuery("payment", SettledOf(order), 100, 60); }
  // As if a part of the order's way had not been gone yet; back where it was by SetState(order, 2).
  void SetState(const std::string& order, int state) {
    fleet.Query("order", absl::StrCat("UPDATE orders SET state = ", state, Where(order), " RETURNING 1"));
  }
  std::int64_t MicrosOf(const std::string& service, const std::string& time_of) {
    return fleet.Query(service, "SELECT (extract(epoch FROM " + time_of + ") * 1000000)::bigint");
  }
  void SettleByHand(const std::string& order) {
    auto request = payment::v1::SettleRequest();
    request.set_order_id(order);
    payment::v1::SettleResponse response;
    EXPECT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::Settle, "olga", request, &response).status.ok());
  }
  Fleet fleet;
};

TEST_F(SettlementOfOrders, WaitsForWhatIsNotCompleteAndHoldsUpNoOther) {
  // The provider has taken the money, but the word does not reach order: charged, but not paid.
  const Result created =
      PlaceOrder(*fleet.orders(), "sue", "stuck", {{"thing", 1}}, order::v1::PAYMENT_METHOD_EXTERNAL);
  const std::string stuck = created.order.order_id();
  fleet.StopServer("nats");
  Provider provider(fleet.payments(), "secret");
  ASSERT_EQ(provider.Send({.event_id = "e", .reference = created.order.payment_reference(), .amount = 100}), "");
  // One that others than order have charged: nobody knows its order.
  payment::v1::ChargeResponse charged;
  const auto direct = ChargeOf(1).order_id();
  ASSERT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::Charge, "", ChargeOf(1), &charged).status.ok());
  const std::string later = Order("later");
  EXPECT_TRUE(BecomesSettled(later)) << "held up by what came before it";
  EXPECT_TRUE(fleet.WaitForQuery("payment", StandingOf(stuck), 2, 30));
  EXPECT_TRUE(fleet.WaitForQuery("payment", StandingOf(direct), 4, 30));
  fleet.KillAndRestart("payment-1");
  fleet.WaitServing("payment-1");
  EXPECT_EQ(fleet.Query("payment", SettledOf(stuck)), 0);
  EXPECT_EQ(fleet.Query("payment", SettledOf(direct)), 0);

  fleet.StartServer("nats");
  ASSERT_TRUE(fleet.WaitForQuery("order", "SELECT state FROM orders" + Where(stuck), 2, 60));
  EXPECT_TRUE(BecomesSettled(stuck));
  EXPECT_GE(MicrosOf("payment", "(SELECT created_at FROM transfer WHERE kind = 8 AND reference = '" + stuck + "')"),
            MicrosOf("order", "(SELECT updated_at FROM orders" + Where(stuck) + ")") + 1'000'000);
  SettleByHand(direct);
  EXPECT_EQ(fleet.Query("payment", SettledOf(direct)), AmountOf(1));
  auto refund = payment::v1::RefundRequest();
  refund.set_order_id(direct);
  payment::v1::RefundResponse refunded;
  EXPECT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::Refund, "", refund, &refunded).status.ok());
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM settlement_wait", 0, 60));
  EXPECT_EQ(fleet.Check(), "");
}

// Nothing is settled before RestartPayment says so, however long the preparation takes.
class SettlementPutOff : public SettlementOfOrders {
 protected:
  explicit SettlementPutOff(const FleetOptions& options = {}) : SettlementOfOrders(options, "1h") {}
  void RestartPayment(const std::vector<std::string>& flags = {"--settle_after=1s"}) {
    fleet.Kill("payment-1");
    fleet.Restart("payment-1", flags);
  }
};

TEST_F(SettlementPutOff, StandsStillWhileOrderIsAwayAndLosesNothing) {
  const std::string first = Order("first"), second = Order("second");
  fleet.Kill("order-1");
  RestartPayment();
  const auto failures = [&] {
    const std::string log = fleet.Log("payment-1");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find("the settlement stands still", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_TRUE(Eventually([&] { return failures() >= 2; }, absl::Seconds(60)));
  RestartPayment();
  fleet.WaitServing("payment-1");
  const std::size_t before = failures();
  EXPECT_TRUE(Eventually([&] { return failures() > before; }, absl::Seconds(60)));
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM charge WHERE settled > 0"), 0);
  fleet.Restart("order-1");
  EXPECT_TRUE(BecomesSettled(first));
  EXPECT_TRUE(BecomesSettled(second));
  EXPECT_EQ(fleet.Check(), "");
}

// A part that is refunded first is not split, and does not put the settlement off; nor is what was cancelled split.
TEST_F(SettlementPutOff, TakesOffWhatWasRefundedBefore) {
  const std::string part = Order("part"), cancelled = Order("cancelled");
  EXPECT_TRUE(RefundOrder(*fleet.orders(), "sue", part, {"r", 40}).status.ok());
  EXPECT_TRUE(CancelOrder(*fleet.orders(), "sue", cancelled).status.ok());
  RestartPayment();
  EXPECT_TRUE(fleet.WaitForQuery("payment", SettledOf(part), 60, 60));
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT fee FROM charge" + Where(part), 6, 10));
  EXPECT_EQ(fleet.Query("payment", SettledOf(cancelled)), 0);
  EXPECT_EQ(
      fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind IN (8, 9) AND reference = '" + cancelled + "'"),
      0);
  EXPECT_EQ(fleet.Check(), "");
}

class KilledSettlement : public SettlementPutOff {
 protected:
  KilledSettlement() : SettlementPutOff({.bin = TestFailpointBin()}) {}
};

// One order is complete when the settlement comes to it, the other one has to wait first.
TEST_F(KilledSettlement, BetweenEachTwoOfItsWrites) {
  std::vector<std::string> orders;
  for (const char* place :
       {"settlement.claimed", "rpc.order.before", "rpc.order.after", "settlement.settled", "settlement.advanced",
        "settlement.turn", "settlement.kept", "settlement.settled=crash@2"}) {
    SCOPED_TRACE(place);
    RestartPayment({"--settle_after=1h"});
    fleet.WaitServing("payment-1");
    const std::string complete = Order(absl::StrCat("complete-", place)), slow = Order(absl::StrCat("slow-", place));
    SetState(slow, 4);
    const bool named = absl::StrContains(place, "=");
    RestartPayment({"--settle_after=0s", absl::StrCat("--failpoints=", place, named ? "" : "=crash")});
    const auto dead = [&] { return !fleet.process("payment-1").alive(); };
    EXPECT_TRUE(Eventually([&] { return dead() || fleet.Query("payment", StandingOf(slow)) == 2; }, absl::Seconds(60)));
    SetState(slow, 2);
    EXPECT_TRUE(Eventually(dead, absl::Seconds(60))) << "was not reached";
    // What it had claimed is free again after half a minute, which is waited for once.
    if (!orders.empty()) {
      fleet.Query("payment", "UPDATE settlement_cursor SET lease_until = '-infinity' RETURNING 1");
      fleet.Query("payment",
                  "WITH freed AS (UPDATE settlement_wait SET ask_at = now() RETURNING 1) SELECT count(*) FROM freed");
    }
    RestartPayment({"--settle_after=0s"});
    EXPECT_TRUE(BecomesSettled(complete));
    EXPECT_TRUE(BecomesSettled(slow));
    orders.insert(orders.end(), {complete, slow});
  }
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind = 8"), static_cast<int>(orders.size()));
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind = 9"), static_cast<int>(orders.size()));
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM settlement_wait", 0, 60));
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
