// Stock keeping and selling rules through the real services.
#include <thread>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using inventory::v1::InventoryService;

class StockKeepingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet;
    fleet->StartAll();
    other = fleet->Start("inventory");
    fleet->WaitServing(other);
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
  }
  template <class Response, class Request>
  static Response Call(grpc::Status (InventoryService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request, std::string* reason = nullptr,
                       const std::string& instance = "inventory-1") {
    Response response;
    const Result result = fleet::Call(*fleet->inventory(instance), method, "", request, &response);
    if (reason != nullptr) {
      *reason = result.reason;
    } else {
      EXPECT_TRUE(result.status.ok()) << result;
    }
    return response;
  }
  static inventory::v1::PutSkuRequest Sku(const std::string& sku, std::int64_t units) {
    inventory::v1::PutSkuRequest request;
    request.set_sku(sku);
    request.set_name("Test");
    request.mutable_price()->set_currency_code("EUR");
    request.mutable_price()->set_minor_units(100);
    request.set_initial_quantity(units);
    return request;
  }
  static void Put(const inventory::v1::PutSkuRequest& request) { Call(&InventoryService::Stub::PutSku, request); }

  static inline Fleet* fleet = nullptr;
  static inline std::string other;  // the second inventory instance
};

TEST_F(StockKeepingTest, ALimitIsTheUsersAndReturnsGiveItBack) {
  auto sku = Sku("limited", 100);
  sku.mutable_rules()->set_user_limit(2);
  sku.mutable_rules()->mutable_sale_price()->set_currency_code("EUR");
  sku.mutable_rules()->mutable_sale_price()->set_minor_units(60);
  Put(sku);
  fleet->OpenWallet("lena", 1000);
  fleet->OpenWallet("otto", 1000);
  auto orders = fleet->orders();
  const Result first = PlaceOrder(*orders, "lena", "k1", {{"limited", 2}});
  EXPECT_EQ(first.order.state(), order::v1::ORDER_STATE_PAID);
  EXPECT_EQ(first.order.total().minor_units(), 120) << "the sale price";
  EXPECT_EQ(CreateOrder(*orders, "lena", "k2", {{"limited", 1}}).reason, "PURCHASE_LIMIT");
  EXPECT_EQ(CreateOrder(*orders, "lena", "k1", {{"limited", 2}}).order.order_id(), first.order.order_id());
  EXPECT_EQ(PlaceOrder(*orders, "otto", "k1", {{"limited", 2}}).order.state(), order::v1::ORDER_STATE_PAID);
  EXPECT_EQ(CancelOrder(*orders, "lena", first.order.order_id()).order.state(), order::v1::ORDER_STATE_CANCELLED);
  EXPECT_EQ(PlaceOrder(*orders, "lena", "k3", {{"limited", 2}}).order.state(), order::v1::ORDER_STATE_PAID);
}

TEST_F(StockKeepingTest, ASaleHasItsTime) {
  auto sku = Sku("later", 100);
  sku.mutable_rules()->mutable_sale_start()->set_seconds(4000000000);
  Put(sku);
  sku = Sku("over", 100);
  sku.mutable_rules()->mutable_sale_end()->set_seconds(1000000000);
  Put(sku);
  auto orders = fleet->orders();
  EXPECT_EQ(CreateOrder(*orders, "lena", "later", {{"later", 1}}).reason, "SALE_NOT_STARTED");
  EXPECT_EQ(CreateOrder(*orders, "lena", "over", {{"over", 1}}).reason, "SALE_ENDED");
}

TEST_F(StockKeepingTest, AHundredThousandSkusComeInWithProgressAndAreSoldEverywhere) {
  constexpr int kSkus = 100000, kMessage = 1000;
  grpc::ClientContext context;
  SetCall(context, "", 120000);
  auto stub = fleet->inventory();
  auto stream = stub->ImportSkus(&context);
  inventory::v1::ImportSkusResponse progress;
  for (int begin = 0; begin < kSkus; begin += kMessage) {
    inventory::v1::ImportSkusRequest request;
    for (int i = begin; i < begin + kMessage; ++i) *request.add_skus() = Sku(absl::StrCat("import-", i), i % 10);
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&progress));
    ASSERT_EQ(progress.imported(), begin + kMessage);
  }
  EXPECT_EQ(progress.created(), kSkus);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());

  inventory::v1::ReserveRequest reserve;
  reserve.set_order_id("00000000-0000-8000-8000-000000000001");
  auto* line = reserve.add_lines();
  line->set_sku("import-99999");
  line->set_quantity(9);
  EXPECT_EQ(Call(&InventoryService::Stub::Reserve, reserve, nullptr, other).lines_size(), 1);

  inventory::v1::ListStockRequest list;
  list.set_prefix("import-9");
  list.set_page_size(1000);
  int listed = 0;
  for (;;) {
    const auto page = Call(&InventoryService::Stub::ListStock, list);
    listed += page.stocks_size();
    if (page.next_page_token().empty()) break;
    list.set_page_token(page.next_page_token());
  }
  EXPECT_EQ(listed, 11111);

  inventory::v1::ReconcileStockRequest reconcile;
  reconcile.set_prefix("import-9999");
  reconcile.set_page_size(1000);
  const auto report = Call(&InventoryService::Stub::ReconcileStock, reconcile);
  EXPECT_EQ(report.comparisons_size(), 11);
  EXPECT_EQ(report.comparisons(10).sku(), "import-99999");
  EXPECT_TRUE(report.comparisons(10).in_gate());
  EXPECT_EQ(report.comparisons(10).drift(), 0);
  EXPECT_FALSE(report.comparisons(0).in_gate());
}

TEST_F(StockKeepingTest, ABadSkuEndsTheImportWhereItStands) {
  grpc::ClientContext context;
  SetCall(context, "", 20000);
  auto stub = fleet->inventory();
  auto stream = stub->ImportSkus(&context);
  inventory::v1::ImportSkusRequest request;
  *request.add_skus() = Sku("import-good", 1);
  inventory::v1::ImportSkusResponse progress;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&progress));
  *request.add_skus() = Sku("import bad", 1);
  ASSERT_TRUE(stream->Write(request));
  EXPECT_FALSE(stream->Read(&progress));
  const Result result = Explain(stream->Finish());
  EXPECT_EQ(result.field, "skus[1].sku");
  EXPECT_EQ(fleet->Stock("import-good").available(), 1);
}

TEST_F(StockKeepingTest, MovementsAreBookedOnceAndListed) {
  Put(Sku("moved", 5));
  inventory::v1::AdjustStockRequest adjust;
  adjust.set_sku("moved");
  adjust.set_delta(7);
  adjust.set_reference("delivery-1");
  adjust.set_reason(inventory::v1::MOVEMENT_REASON_RECEIPT);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Call(&InventoryService::Stub::AdjustStock, adjust).stock().available(), 12);
  adjust.set_delta(8);
  std::string reason;
  Call(&InventoryService::Stub::AdjustStock, adjust, &reason);
  EXPECT_EQ(reason, "IDEMPOTENCY_KEY_REUSED");
  inventory::v1::ListStockMovementsRequest list;
  list.set_sku("moved");
  list.set_page_size(1);
  auto page = Call(&InventoryService::Stub::ListStockMovements, list);
  EXPECT_EQ(page.movements(0).reason(), inventory::v1::MOVEMENT_REASON_INITIAL);
  list.set_page_token(page.next_page_token());
  page = Call(&InventoryService::Stub::ListStockMovements, list);
  EXPECT_EQ(page.movements(0).reference(), "delivery-1");
}

TEST_F(StockKeepingTest, AWatcherSeesWhatAnotherInstanceSells) {
  Put(Sku("watched", 3));
  grpc::ClientContext context;
  SetCall(context, "", 30000);
  inventory::v1::WatchStockRequest request;
  request.add_skus("watched");
  auto stub = fleet->inventory(other);
  auto stream = stub->WatchStock(&context, request);
  inventory::v1::WatchStockResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stock().available(), 3);
  fleet->OpenWallet("wanda", 1000);
  EXPECT_EQ(PlaceOrder(*fleet->orders(), "wanda", "k1", {{"watched", 2}}).order.state(), order::v1::ORDER_STATE_PAID);
  do {  // reserved, then sold, or both at once
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.stock().available(), 1);
  } while (response.stock().sold() == 0);
  context.TryCancel();
}

TEST_F(StockKeepingTest, LowStockReachesJetStream) {
  auto sku = Sku("scarce", 10);
  sku.set_low_stock_threshold(4);
  Put(sku);
  const std::int64_t before = fleet->Query("inventory", "SELECT coalesce(max(published), 0) FROM relay_cursor");
  fleet->OpenWallet("lucy", 10000);
  EXPECT_EQ(PlaceOrder(*fleet->orders(), "lucy", "k1", {{"scarce", 7}}).order.state(), order::v1::ORDER_STATE_PAID);
  EXPECT_EQ(fleet->Query("inventory", "SELECT count(*) FROM event WHERE stream_id = 'scarce' AND type = 'stock.low'"),
            1);
  // The cursor moves after JetStream's acknowledgement.
  EXPECT_TRUE(fleet->WaitForQuery("inventory", "SELECT coalesce(max(published), 0) FROM relay_cursor", before + 1, 20));
}

TEST_F(StockKeepingTest, AHoldCanBeExtendedUntilItIsSold) {
  Put(Sku("extended", 3));
  inventory::v1::ReserveRequest reserve;
  reserve.set_order_id("00000000-0000-8000-8000-000000000002");
  reserve.mutable_hold()->set_seconds(60);
  auto* line = reserve.add_lines();
  line->set_sku("extended");
  line->set_quantity(1);
  const auto held = Call(&InventoryService::Stub::Reserve, reserve);
  inventory::v1::ExtendHoldRequest extend;
  extend.set_order_id(reserve.order_id());
  extend.mutable_hold()->set_seconds(600);
  EXPECT_GT(Call(&InventoryService::Stub::ExtendHold, extend).expires_at().seconds(),
            held.expires_at().seconds() + 500);
  inventory::v1::ReleaseRequest release;
  release.set_order_id(reserve.order_id());
  Call(&InventoryService::Stub::Release, release);
  std::string reason;
  Call(&InventoryService::Stub::ExtendHold, extend, &reason);
  EXPECT_EQ(reason, "RESERVATION_RELEASED");
}

TEST_F(StockKeepingTest, PricesAreThoseOfASaleAndAbsentForUnknownSkus) {
  auto sku = Sku("priced", 1);
  sku.mutable_rules()->mutable_sale_price()->set_currency_code("EUR");
  sku.mutable_rules()->mutable_sale_price()->set_minor_units(55);
  Put(sku);
  inventory::v1::BatchGetPricesRequest request;
  request.add_skus("priced");
  request.add_skus("unheard-of");
  const auto response = Call(&InventoryService::Stub::BatchGetPrices, request);
  EXPECT_EQ(response.prices(0).price().minor_units(), 55);
  EXPECT_FALSE(response.prices(1).has_price());
}

}  // namespace
}  // namespace flotilla::fleet
