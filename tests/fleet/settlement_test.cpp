// The settlement's whole schedule on the real service: nothing before its time, everything once, no unit lost, and what
// is refunded afterwards taken back in proportion, though payment is killed in the middle of it.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "fleet/fleet.h"
#include "gtest/gtest.h"

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
    ASSERT_TRUE(result.status.ok()) << result.status.error_message();
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
  const std::vector<std::string> instances = {
      fleet.Start("inventory"), fleet.Start("notify"), fleet.Start("order"),
      fleet.Start("payment", {"--settle_after=2s", "--fee_basis_points=333", "--minimum_fee=3"})};
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
                  "WHERE s.kind IN (8, 9) AND s.created_at < c.created_at + interval '2 seconds'"),
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

}  // namespace
}  // namespace flotilla::fleet
