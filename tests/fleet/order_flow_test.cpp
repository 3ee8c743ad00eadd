// The ways of an order, on the real fleet.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <set>
#include <thread>

#include "fleet/fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;
using testing::ElementsAre;

class OrderFlow : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet;
    fleet->StartAll();
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
    fleet = nullptr;
  }
  static inline Fleet* fleet = nullptr;
};

TEST_F(OrderFlow, PaidOrderMovesStockAndMoneyAndTellsTheUser) {
  fleet->PutSku("paid-a", 250, 10);
  fleet->PutSku("paid-b", 100, 10);
  fleet->OpenWallet("paula", 10000);
  auto stub = fleet->orders();
  const Result result = PlaceOrder(*stub, "paula", "k1", {{"paid-a", 2}, {"paid-b", 3}});
  ASSERT_TRUE(result.status.ok()) << result;
  EXPECT_EQ(result.order.state(), ORDER_STATE_PAID);
  EXPECT_EQ(result.order.total().minor_units(), 2 * 250 + 3 * 100);
  EXPECT_EQ(result.order.total().currency_code(), "EUR");
  EXPECT_EQ(result.order.version(), 2);
  EXPECT_EQ(fleet->Balance("paula"), 10000 - 800);
  EXPECT_EQ(fleet->Stock("paid-a").available(), 8);
  EXPECT_EQ(fleet->Stock("paid-a").reserved(), 0);
  EXPECT_EQ(fleet->Stock("paid-a").sold(), 2);

  grpc::ClientContext context;
  SetCall(context, "paula", 20000);
  auto stream = fleet->notifications()->Subscribe(&context, {});
  std::vector<std::string> types;
  notify::v1::SubscribeResponse response;
  while (types.size() < 2 && stream->Read(&response)) {
    EXPECT_EQ(response.notification().order_id(), result.order.order_id());
    EXPECT_EQ(response.notification().sequence(), static_cast<std::int64_t>(types.size()) + 1);
    types.push_back(response.notification().type());
  }
  EXPECT_THAT(types, ElementsAre("order.reserved", "order.paid"));
  context.TryCancel();
  stream->Finish();

  const Result read = GetOrder(*stub, "paula", result.order.order_id());
  EXPECT_EQ(read.order.SerializeAsString(), result.order.SerializeAsString());
}

TEST_F(OrderFlow, LiveSubscriberIsToldOfANewOrder) {
  fleet->PutSku("live", 1, 10);
  fleet->OpenWallet("livia", 10);
  grpc::ClientContext context;
  SetCall(context, "livia", 20000);
  auto stream = fleet->notifications()->Subscribe(&context, {});
  ASSERT_TRUE(CreateOrder(*fleet->orders(), "livia", "k", {{"live", 1}}).status.ok());
  notify::v1::SubscribeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.notification().type(), "order.reserved");
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.notification().type(), "order.paid");
  context.TryCancel();
  stream->Finish();
}

TEST_F(OrderFlow, SoldOutWritesNothing) {
  fleet->PutSku("scarce", 100, 1);
  fleet->OpenWallet("sam", 1000);
  const auto rows = fleet->Query("order", "SELECT count(*) FROM orders");
  const Result result = CreateOrder(*fleet->orders(), "sam", "k", {{"scarce", 2}});
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(result.reason, "OUT_OF_STOCK");
  EXPECT_EQ(fleet->Query("order", "SELECT count(*) FROM orders"), rows);
  EXPECT_EQ(fleet->Stock("scarce").available(), 1);
  // A refusal doesn't spend the key.
  EXPECT_EQ(PlaceOrder(*fleet->orders(), "sam", "k", {{"scarce", 1}}).order.state(), ORDER_STATE_PAID);
}

TEST_F(OrderFlow, RefusedChargeGivesTheStockBack) {
  fleet->PutSku("dear", 5000, 3);
  fleet->OpenWallet("poor", 4999);
  auto stub = fleet->orders();
  const Result result = PlaceOrder(*stub, "poor", "k", {{"dear", 1}});
  ASSERT_TRUE(result.status.ok()) << result;
  EXPECT_EQ(result.order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(result.order.cancel_reason(), "INSUFFICIENT_FUNDS");
  EXPECT_EQ(fleet->Stock("dear").available(), 3);
  EXPECT_EQ(fleet->Stock("dear").reserved(), 0);
  EXPECT_EQ(fleet->Balance("poor"), 4999);
  // The same key gets the same answer.
  const Result again = CreateOrder(*stub, "poor", "k", {{"dear", 1}});
  EXPECT_EQ(again.order.SerializeAsString(), result.order.SerializeAsString());
}

TEST_F(OrderFlow, UserWithoutWalletIsCompensatedToo) {
  fleet->PutSku("nowallet", 5, 3);
  const Result result = PlaceOrder(*fleet->orders(), "walletless", "k", {{"nowallet", 1}});
  ASSERT_TRUE(result.status.ok()) << result;
  EXPECT_EQ(result.order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(result.order.cancel_reason(), "UNKNOWN_ACCOUNT");
  EXPECT_EQ(fleet->Stock("nowallet").available(), 3);
}

TEST_F(OrderFlow, SameKeySameReplyOtherBodyRefused) {
  fleet->PutSku("twice", 10, 100);
  fleet->OpenWallet("ida", 1000);
  auto stub = fleet->orders();
  const Result first = PlaceOrder(*stub, "ida", "key", {{"twice", 1}});
  const Result second = CreateOrder(*stub, "ida", "key", {{"twice", 1}});
  ASSERT_TRUE(second.status.ok()) << second;
  EXPECT_EQ(second.order.SerializeAsString(), first.order.SerializeAsString());
  const Result other = CreateOrder(*stub, "ida", "key", {{"twice", 2}});
  EXPECT_EQ(other.status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(other.reason, "IDEMPOTENCY_KEY_REUSED");
  EXPECT_EQ(fleet->Balance("ida"), 990);
  EXPECT_EQ(fleet->Stock("twice").available(), 99);
  // Another user's key is another key.
  fleet->OpenWallet("ivo", 1000);
  EXPECT_NE(PlaceOrder(*stub, "ivo", "key", {{"twice", 1}}).order.order_id(), first.order.order_id());
}

TEST_F(OrderFlow, SameKeyAtOnceIsOneOrder) {
  fleet->PutSku("burst", 10, 100);
  fleet->OpenWallet("bert", 1000);
  std::vector<std::thread> threads;
  std::vector<Result> results(16);
  for (auto& result : results) {
    threads.emplace_back([&result] { result = CreateOrder(*fleet->orders(), "bert", "same", {{"burst", 1}}); });
  }
  for (auto& thread : threads) thread.join();
  PlaceOrder(*fleet->orders(), "bert", "same", {{"burst", 1}});
  std::set<std::string> ids;
  for (auto& result : results) {
    EXPECT_TRUE(result.status.ok()) << result;
    ids.insert(result.order.order_id());
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(fleet->Balance("bert"), 990);
  EXPECT_EQ(fleet->Stock("burst").available(), 99);
}

TEST_F(OrderFlow, TwoHundredBuyersForTwentyUnits) {
  fleet->PutSku("rare", 100, 20);
  for (int i = 0; i < 200; ++i) fleet->OpenWallet("buyer" + std::to_string(i), 100);
  std::atomic<int> paid = 0, sold_out = 0, other = 0, next = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 20; ++t) {
    threads.emplace_back([&] {
      auto stub = fleet->orders();
      for (int i = next++; i < 200; i = next++) {
        const Result result = PlaceOrder(*stub, "buyer" + std::to_string(i), "k", {{"rare", 1}});
        if (result.status.ok() && result.order.state() == ORDER_STATE_PAID) {
          ++paid;
        } else if (result.reason == "OUT_OF_STOCK") {
          ++sold_out;
        } else {
          ++other;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(paid, 20);
  EXPECT_EQ(sold_out, 180);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(fleet->Stock("rare").sold(), 20);
}

TEST_F(OrderFlow, CancelGivesStockAndMoneyBackOnce) {
  fleet->PutSku("undo", 100, 5);
  fleet->OpenWallet("uma", 1000);
  auto stub = fleet->orders();
  const Result paid = PlaceOrder(*stub, "uma", "k", {{"undo", 2}});
  ASSERT_EQ(paid.order.state(), ORDER_STATE_PAID);
  const Result cancelled = CancelOrder(*stub, "uma", paid.order.order_id());
  ASSERT_TRUE(cancelled.status.ok()) << cancelled;
  EXPECT_EQ(cancelled.order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(fleet->Balance("uma"), 1000);
  EXPECT_EQ(fleet->Stock("undo").available(), 5);
  EXPECT_EQ(fleet->Stock("undo").sold(), 0);
  const Result again = CancelOrder(*stub, "uma", paid.order.order_id());
  EXPECT_EQ(again.order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(fleet->Balance("uma"), 1000);
}

TEST_F(OrderFlow, ListPagesNewestFirst) {
  fleet->PutSku("list", 1, 100);
  fleet->OpenWallet("lisa", 100);
  auto stub = fleet->orders();
  std::vector<std::string> placed;
  for (int i = 0; i < 5; ++i)
    placed.push_back(PlaceOrder(*stub, "lisa", "k" + std::to_string(i), {{"list", 1}}).order.order_id());
  std::vector<std::string> listed;
  std::string token;
  do {
    grpc::ClientContext context;
    SetCall(context, "lisa", 20000);
    order::v1::ListOrdersRequest request;
    request.set_page_size(2);
    request.set_page_token(token);
    order::v1::ListOrdersResponse response;
    ASSERT_TRUE(stub->ListOrders(&context, request, &response).ok());
    for (auto& order : response.orders()) listed.push_back(order.order_id());
    token = response.next_page_token();
  } while (!token.empty());
  std::reverse(placed.begin(), placed.end());
  EXPECT_EQ(listed, placed);
}

TEST_F(OrderFlow, WatchEndsWithTheFinalState) {
  fleet->PutSku("watch", 1, 10);
  fleet->OpenWallet("walt", 100);
  auto stub = fleet->orders();
  const Result paid = PlaceOrder(*stub, "walt", "k", {{"watch", 1}});
  grpc::ClientContext context;
  SetCall(context, "walt", 20000);
  order::v1::WatchOrderRequest request;
  request.set_order_id(paid.order.order_id());
  auto stream = stub->WatchOrder(&context, request);
  order::v1::WatchOrderResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.order().state(), ORDER_STATE_PAID);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Watch, ChangesByOneInstanceReachTheWatchersOfAnother) {
  Fleet fleet;
  fleet.StartAll();
  const std::string second = fleet.Start("order");
  fleet.WaitServing(second);
  fleet.PutSku("push", 1, 100);
  fleet.OpenWallet("wilma", 100);
  auto here = fleet.orders(), there = fleet.orders(second);
  const Result first = PlaceOrder(*here, "wilma", "k1", {{"push", 1}});
  const Result other = PlaceOrder(*here, "wilma", "k2", {{"push", 1}});
  ASSERT_EQ(first.order.state(), ORDER_STATE_PAID);

  grpc::ClientContext context;
  SetCall(context, "wilma", 30000);
  auto stream = there->WatchOrders(&context);
  order::v1::WatchOrdersRequest request;
  order::v1::WatchOrdersResponse response;
  const auto add = [&](const std::string& id) {
    request.set_add_order_id(id);
    return stream->Write(request);
  };
  ASSERT_TRUE(add(first.order.order_id()));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.order().order_id(), first.order.order_id());
  ASSERT_TRUE(add("no uuid"));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.problem().reason(), "INVALID_FIELD");
  ASSERT_TRUE(add("00000000-0000-4000-8000-000000000001"));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.problem().reason(), "UNKNOWN_ORDER");
  ASSERT_TRUE(add(other.order.order_id()));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.order().order_id(), other.order.order_id());
  request.set_remove_order_id(other.order.order_id());
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(add("marks that the removal has been read"));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.has_problem());

  // Cancelled on the first instance: the removed one is not told of, the watched one is, to its end.
  EXPECT_TRUE(CancelOrder(*here, "wilma", other.order.order_id()).status.ok());
  EXPECT_TRUE(CancelOrder(*here, "wilma", first.order.order_id()).status.ok());
  const auto cancelled = std::chrono::steady_clock::now();
  do {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.order().order_id(), first.order.order_id());
  } while (response.order().state() != ORDER_STATE_CANCELLED);
  const auto took = std::chrono::steady_clock::now() - cancelled;
  std::cout << "seen on the other instance " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
            << " ms after the reply\n";
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace flotilla::fleet
