// What a client can send wrongly: each gets its code, its reason and the field's name, and changes nothing.
#include <functional>

#include "fleet/fleet.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using order::v1::CreateOrderRequest;

class BadInput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet;
    fleet->StartAll();
    fleet->PutSku("good", 100, 1000);
    fleet->OpenWallet("user", 1000000);
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
    fleet = nullptr;
  }
  // Everything a refused call might have changed.
  static std::vector<std::int64_t> Snapshot() {
    return {fleet->Query("order", "SELECT count(*) FROM orders"), fleet->Query("order", "SELECT count(*) FROM event"),
            fleet->Query("inventory", "SELECT count(*) FROM reservation"),
            fleet->Query("payment", "SELECT count(*) FROM transfer"), fleet->Stock("good").available()};
  }
  static CreateOrderRequest Good() { return MakeOrder("key", {{"good", 1}}); }
  static inline Fleet* fleet = nullptr;
};

// More than payment could take: refused before anything is written, and the stock is back at once.
TEST_F(BadInput, AnOrderCostsNoMoreThanCanBeCharged) {
  fleet->PutSku("yacht", 1'000'000'000'000, 2000);
  const auto before = Snapshot();
  for (const auto method : {order::v1::PAYMENT_METHOD_WALLET, order::v1::PAYMENT_METHOD_EXTERNAL}) {
    const Result result =
        CreateOrder(*fleet->orders(), "user", "yachts-" + std::to_string(method), {{"yacht", 1001}}, 20000, method);
    EXPECT_EQ(result.reason, "INVALID_FIELD") << result;
    EXPECT_EQ(result.field, "items");
  }
  auto after = Snapshot();
  after[2] -= 2;  // the holds that were released
  EXPECT_EQ(after, before);
  EXPECT_EQ(fleet->Stock("yacht").available(), 2000);
}

struct Case {
  const char* name;
  std::function<void(CreateOrderRequest&)> spoil;
  const char* field;
};

TEST_F(BadInput, CreateOrderNamesTheField) {
  const Case cases[] = {
      {"no items", [](auto& r) { r.clear_items(); }, "items"},
      {"too many items",
       [](auto& r) {
         for (int i = 0; i < 101; ++i) {
           r.add_items()->set_sku("s" + std::to_string(i));
           r.mutable_items(r.items_size() - 1)->set_quantity(1);
         }
       },
       "items"},
      {"zero quantity", [](auto& r) { r.mutable_items(0)->set_quantity(0); }, "items[0].quantity"},
      {"negative quantity", [](auto& r) { r.mutable_items(0)->set_quantity(-1); }, "items[0].quantity"},
      {"huge quantity", [](auto& r) { r.mutable_items(0)->set_quantity(INT64_MAX); }, "items[0].quantity"},
      {"empty sku", [](auto& r) { r.mutable_items(0)->set_sku(""); }, "items[0].sku"},
      {"overlong sku", [](auto& r) { r.mutable_items(0)->set_sku(std::string(65, 'x')); }, "items[0].sku"},
      {"sku with odd characters", [](auto& r) { r.mutable_items(0)->set_sku("a{b}'"); }, "items[0].sku"},
      {"one sku in two lines",
       [](auto& r) {
         r.add_items()->set_sku("good");
         r.mutable_items(1)->set_quantity(1);
       },
       "items[1].sku"},
      {"no key", [](auto& r) { r.clear_idempotency_key(); }, "idempotency_key"},
      {"overlong key", [](auto& r) { r.set_idempotency_key(std::string(65, 'k')); }, "idempotency_key"},
      {"key with control characters", [](auto& r) { r.set_idempotency_key("a\nb"); }, "idempotency_key"},
      {"no payment method", [](auto& r) { r.clear_payment_method(); }, "payment_method"},
      {"unknown payment method", [](auto& r) { r.set_payment_method(static_cast<order::v1::PaymentMethod>(99)); },
       "payment_method"},
  };
  const auto before = Snapshot();
  auto stub = fleet->orders();
  for (const Case& c : cases) {
    CreateOrderRequest request = Good();
    c.spoil(request);
    const Result result = Send(*stub, "user", request);
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << c.name << ": " << result;
    EXPECT_EQ(result.reason, "INVALID_FIELD") << c.name;
    EXPECT_EQ(result.field, c.field) << c.name;
  }
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(BadInput, NonUtf8IsRefused) {
  const auto before = Snapshot();
  // A CreateOrderRequest whose key is the bytes FF FE, which no protobuf string may hold.
  grpc::Slice slice(std::string("\x0a\x02\xff\xfe\x12\x08\x0a\x04good\x10\x01\x18\x01", 16));
  grpc::ByteBuffer request(&slice, 1);
  grpc::GenericStub stub(fleet->channel("order-1"));
  grpc::ClientContext context;
  SetCall(context, "user", 20000);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/flotilla.order.v1.OrderService/CreateOrder", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  const Result result = Explain(status);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(result.field, "idempotency_key");
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(BadInput, UnknownSku) {
  const auto before = Snapshot();
  const Result result = CreateOrder(*fleet->orders(), "user", "unknown", {{"good", 1}, {"nosuch", 1}});
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(result.reason, "UNKNOWN_SKU");
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(BadInput, NobodyIsRefused) {
  const Result result = CreateOrder(*fleet->orders(), "", "nobody", {{"good", 1}});
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(result.reason, "NO_USER");
}

TEST_F(BadInput, ForeignOrderDoesNotExist) {
  auto stub = fleet->orders();
  const Result mine = PlaceOrder(*stub, "user", "mine", {{"good", 1}});
  ASSERT_TRUE(mine.status.ok()) << mine;
  for (const Result& result :
       {GetOrder(*stub, "thief", mine.order.order_id()), CancelOrder(*stub, "thief", mine.order.order_id())}) {
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(result.reason, "UNKNOWN_ORDER");
  }
  EXPECT_EQ(GetOrder(*stub, "user", mine.order.order_id()).order.state(), order::v1::ORDER_STATE_PAID);
}

TEST_F(BadInput, MalformedOrderId) {
  for (const char* id : {"", "x", "00000000-0000-0000-0000-00000000000g", "'; DROP TABLE orders; --"}) {
    const Result result = GetOrder(*fleet->orders(), "user", id);
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << id;
    EXPECT_EQ(result.field, "order_id") << id;
  }
}

TEST_F(BadInput, MoneyAndStockAreChecked) {
  auto payments = fleet->payments();
  for (std::int64_t amount : {std::int64_t{0}, std::int64_t{-5}, INT64_MAX}) {
    payment::v1::DepositRequest request;
    request.set_user_id("user");
    request.set_deposit_id("bad");
    request.mutable_amount()->set_currency_code("EUR");
    request.mutable_amount()->set_minor_units(amount);
    payment::v1::DepositResponse response;
    const Result result = Call(*payments, &payment::v1::PaymentService::Stub::Deposit, "", request, &response);
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << amount;
    EXPECT_EQ(result.field, "amount.minor_units") << amount;
  }
  inventory::v1::AdjustStockRequest request;
  request.set_sku("good");
  request.set_reference("too-much");
  request.set_reason(inventory::v1::MOVEMENT_REASON_LOSS);
  request.set_delta(-1000000);
  inventory::v1::AdjustStockResponse response;
  const Result result =
      Call(*fleet->inventory(), &inventory::v1::InventoryService::Stub::AdjustStock, "", request, &response);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(result.reason, "OUT_OF_STOCK");
}

}  // namespace
}  // namespace flotilla::fleet
