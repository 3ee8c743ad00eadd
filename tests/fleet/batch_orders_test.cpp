// Many users' orders in one call: each is answered as if it had come alone.
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "errors/errors.h"
#include "fleet/fleet.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using order::v1::BatchCreateOrdersRequest;
using order::v1::BatchCreateOrdersResponse;
using order::v1::OrderService;

void Add(BatchCreateOrdersRequest& batch, const std::string& user, const std::string& key, const std::string& sku,
         std::int64_t quantity = 1) {
  auto& item = *batch.add_requests();
  item.set_user_id(user);
  *item.mutable_order() = MakeOrder(key, {{sku, quantity}});
}

Result Send(OrderService::Stub& stub, const BatchCreateOrdersRequest& batch, BatchCreateOrdersResponse* response,
            int timeout_ms = kDefaultTimeoutMs) {
  return Call(stub, &OrderService::Stub::BatchCreateOrders, "", batch, response, timeout_ms);
}

// "PAID", "CANCELLED INSUFFICIENT_FUNDS", "INVALID_FIELD requests[3].order.items[0].quantity".
std::string Outcome(const BatchCreateOrdersResponse::Result& result) {
  if (!result.has_error()) {
    const std::string state = order::v1::OrderState_Name(result.order().state()).substr(sizeof("ORDER_STATE"));
    return result.order().cancel_reason().empty() ? state : absl::StrCat(state, " ", result.order().cancel_reason());
  }
  const Result error = Explain(errors::ToGrpc(errors::FromProto(result.error())));
  return error.field.empty() ? error.reason : absl::StrCat(error.reason, " ", error.field);
}

TEST(BatchOrders, EachIsAnsweredForItselfAndARepeatAnswersTheSame) {
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("many", 10, 100);
  fleet.PutSku("none", 10, 0);
  fleet.OpenWallet("rich", 1000);
  fleet.OpenWallet("poor", 5);
  BatchCreateOrdersRequest batch;
  Add(batch, "rich", "k1", "many", 2);
  Add(batch, "rich", "k2", "none");
  Add(batch, "poor", "k3", "many");
  Add(batch, "rich", "k4", "many", 0);
  Add(batch, "rich", "k5", "unknown");
  Add(batch, "", "k6", "many");
  Add(batch, "rich", "k1", "many", 2);  // once more
  Add(batch, "poor", "k1", "none");     // another user's key
  const std::vector<std::string> expected = {"PAID",
                                             "OUT_OF_STOCK",
                                             "CANCELLED INSUFFICIENT_FUNDS",
                                             "INVALID_FIELD requests[3].order.items[0].quantity",
                                             "UNKNOWN_SKU",
                                             "INVALID_FIELD requests[5].user_id",
                                             "PAID",
                                             "OUT_OF_STOCK"};
  const auto orders = fleet.orders();
  std::string first_id;
  for (const char* turn : {"first", "repeated"}) {
    BatchCreateOrdersResponse response;
    const Result result = Send(*orders, batch, &response);
    ASSERT_TRUE(result.status.ok()) << result;
    std::vector<std::string> outcomes;
    for (const auto& each : response.results()) outcomes.push_back(Outcome(each));
    EXPECT_EQ(outcomes, expected) << turn;
    EXPECT_EQ(response.results(0).order().order_id(), response.results(6).order().order_id());
    if (first_id.empty()) first_id = response.results(0).order().order_id();
    EXPECT_EQ(response.results(0).order().order_id(), first_id);
  }
  EXPECT_EQ(CreateOrder(*orders, "rich", "k1", {{"many", 2}}).order.order_id(), first_id) << "alone it is the same";
  EXPECT_EQ(fleet.Balance("rich"), 1000 - 20);
  EXPECT_EQ(fleet.Stock("many").sold(), 2);
  EXPECT_EQ(fleet.Stock("many").available(), 98);

  // Of two orders by one key that differ one is taken.
  batch.Clear();
  Add(batch, "rich", "k7", "many", 1);
  Add(batch, "rich", "k7", "many", 3);
  BatchCreateOrdersResponse response;
  ASSERT_TRUE(Send(*orders, batch, &response).status.ok());
  EXPECT_EQ((std::set<std::string>{Outcome(response.results(0)), Outcome(response.results(1))}),
            (std::set<std::string>{"PAID", "IDEMPOTENCY_KEY_REUSED"}));

  batch.Clear();
  EXPECT_EQ(Send(*orders, batch, &response).field, "requests");
  EXPECT_EQ(fleet.Check(), "");
}

// Where payment is away, every order is answered as it stands, none is lost, and the instance takes no more of them
// than it can hold.
TEST(BatchOrders, WhatCannotEndIsAnsweredInTimeAndBounded) {
  constexpr int kGateways = 8, kOrders = 800;
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("slow", 10, kGateways * kOrders);
  for (int g = 0; g < kGateways; ++g) fleet.OpenWallet(absl::StrCat("user-", g), 10 * kOrders);
  fleet.Kill("payment-1");
  std::atomic<int> reserved = 0, busy = 0;
  std::vector<std::thread> gateways;
  for (int g = 0; g < kGateways; ++g) {
    gateways.emplace_back([&, g] {
      BatchCreateOrdersRequest batch;
      for (int n = 0; n < kOrders; ++n) Add(batch, absl::StrCat("user-", g), absl::StrCat("k", n), "slow");
      BatchCreateOrdersResponse response;
      const Result result = Send(*fleet.orders(), batch, &response, 10000);
      if (result.reason == "SERVER_BUSY" && result.retry_delay > absl::ZeroDuration()) ++busy;
      if (!result.status.ok() && result.reason != "SERVER_BUSY") ADD_FAILURE() << result;
      for (const auto& each : response.results()) reserved += Outcome(each) == "RESERVED" ? 1 : 0;
    });
  }
  for (std::thread& gateway : gateways) gateway.join();
  EXPECT_GT(busy, 0) << "6,400 orders, of which 4,000 are taken at once";
  EXPECT_GT(reserved, 0);
  fleet.Restart("payment-1");
  fleet.WaitServing("payment-1");
  const auto in_state = [&](int state) {
    return fleet.Query("order", absl::StrCat("SELECT count(*) FROM orders WHERE state = ", state));
  };
  EXPECT_TRUE(Eventually([&] { return in_state(1) == 0; }, absl::Seconds(90)));
  EXPECT_GE(in_state(2), reserved);
  EXPECT_EQ(fleet.Check(), "");
}

// A gateway that gets no answer repeats the whole batch, and no order of it is placed twice.
TEST(BatchOrders, ABatchThatACrashCutShortIsRepeated) {
  constexpr int kBatches = 60, kUsers = 50;
  Fleet fleet;
  fleet.StartAll();
  fleet.PutSku("crash", 10, kBatches * kUsers);
  for (int u = 0; u < kUsers; ++u) fleet.OpenWallet(absl::StrCat("user-", u), 10 * kBatches);
  std::atomic<int> done = 0, cut = 0;
  std::vector<std::thread> gateways;
  for (int g = 0; g < 2; ++g) {
    gateways.emplace_back([&, g] {
      for (int b = g; b < kBatches; b += 2) {
        BatchCreateOrdersRequest batch;
        for (int u = 0; u < kUsers; ++u) Add(batch, absl::StrCat("user-", u), absl::StrCat("k", b), "crash");
        const absl::Time give_up = absl::Now() + absl::Minutes(1);
        for (int paid = 0; paid < kUsers && absl::Now() < give_up;) {
          BatchCreateOrdersResponse response;
          paid = 0;
          if (!Send(*fleet.orders(), batch, &response).status.ok()) {
            ++cut;
            absl::SleepFor(absl::Milliseconds(100));
            continue;
          }
          for (const auto& result : response.results()) paid += Outcome(result) == "PAID" ? 1 : 0;
          if (paid < kUsers) absl::SleepFor(absl::Milliseconds(100));
        }
        ++done;
      }
    });
  }
  for (const int after : {10, 25, 40}) {
    while (done < after) absl::SleepFor(absl::Milliseconds(5));
    fleet.KillAndRestart("order-1");
  }
  for (std::thread& gateway : gateways) gateway.join();
  EXPECT_GT(cut, 0) << "no batch was cut short";
  EXPECT_EQ(fleet.Stock("crash").sold(), kBatches * kUsers);
  EXPECT_EQ(fleet.Stock("crash").available(), 0);
  for (int u = 0; u < kUsers; ++u) EXPECT_EQ(fleet.Balance(absl::StrCat("user-", u)), 0) << u;
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
