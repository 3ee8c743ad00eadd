// Operators and stuck sagas, on a fleet with two order services.
#include "fleet/fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using Admin = order::v1::SagaAdminService;
using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;
using order::v1::ORDER_STATE_RESERVED;
using testing::ElementsAre;

class SagaAdmin : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet;
    for (const char* service : {"inventory", "payment", "notify"}) fleet->WaitServing(fleet->Start(service));
    for (int i = 0; i < 2; ++i) fleet->WaitServing(fleet->Start("order"));
    fleet->PutSku("sku", 100, 100);
    fleet->OpenWallet("user", 100000);
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
    fleet = nullptr;
  }

  // An order whose saga is parked at its charge, as after a long outage of payment.
  static std::string Parked(const std::string& key) {
    fleet->Kill("payment-1");
    const auto created = [&] { return CreateOrder(*fleet->orders(), "user", key, {{"sku", 1}}, 1000).status.ok(); };
    EXPECT_TRUE(Eventually(created, absl::Seconds(60)));
    // No run of it lives on that could meet payment again.
    for (const char* instance : {"order-1", "order-2"}) fleet->Kill(instance);
    fleet->Query("order",
                 "WITH parked AS (UPDATE saga SET direction = 2, parked_from = 0, parked_step = 'charge', "
                 "error = 'UNAVAILABLE: down', compensable = true, fence = fence + 1 RETURNING 1) "
                 "SELECT count(*) FROM parked");
    for (const char* instance : {"order-1", "order-2", "payment-1"}) fleet->Restart(instance);
    for (const char* instance : {"order-1", "order-2", "payment-1"}) fleet->WaitServing(instance);
    order::v1::ListSagasRequest list;
    list.set_state(order::v1::SAGA_STATE_PARKED);
    order::v1::ListSagasResponse listed;
    EXPECT_TRUE(Call(*fleet->sagas(), &Admin::Stub::ListSagas, "olga", list, &listed).status.ok());
    EXPECT_EQ(listed.sagas_size(), 1);
    return listed.sagas_size() == 0 ? "" : listed.sagas(0).id();
  }
  static bool Becomes(const std::string& order_id, order::v1::OrderState state) {
    return Eventually([&] { return GetOrder(*fleet->orders(), "user", order_id).order.state() == state; },
                      absl::Seconds(60));
  }
  static order::v1::GetSagaResponse Get(const std::string& id) {
    order::v1::GetSagaRequest request;
    request.set_type("create");
    request.set_id(id);
    order::v1::GetSagaResponse response;
    const Result result = Call(*fleet->sagas("order-2"), &Admin::Stub::GetSaga, "otto", request, &response);
    EXPECT_TRUE(result.status.ok()) << result;
    return response;
  }
  template <class Request, class Response>
  static Result Do(grpc::Status (Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const std::string& instance, const std::string& user, const std::string& id) {
    Request request;
    request.set_type("create");
    request.set_id(id);
    request.set_note("by " + user);
    if constexpr (std::is_same_v<Request, order::v1::ResolveSagaRequest>) {
      request.set_order_state(order::v1::ORDER_STATE_CANCELLED);
    }
    Response response;
    return Call(*fleet->sagas(instance), method, user, request, &response);
  }
  static inline Fleet* fleet = nullptr;
};

TEST_F(SagaAdmin, AnOperatorHasANameAndNamesASaga) {
  EXPECT_EQ(Do(&Admin::Stub::RetrySaga, "order-1", "", "x").reason, "NO_USER");
  EXPECT_EQ(Do(&Admin::Stub::RetrySaga, "order-1", "olga", "x").reason, "UNKNOWN_SAGA");
  EXPECT_EQ(Do(&Admin::Stub::RetrySaga, "order-1", "olga", "").field, "id");
}

TEST_F(SagaAdmin, ARetriedOrderIsPaidWhicheverInstanceIsAsked) {
  const std::string id = Parked("retried");
  EXPECT_EQ(GetOrder(*fleet->orders(), "user", id).order.state(), ORDER_STATE_RESERVED);
  EXPECT_EQ(Get(id).saga().state(), order::v1::SAGA_STATE_PARKED);
  EXPECT_EQ(Get(id).saga().parked_step(), "charge");
  EXPECT_TRUE(Do(&Admin::Stub::RetrySaga, "order-2", "olga", id).status.ok());
  EXPECT_TRUE(Becomes(id, ORDER_STATE_PAID));
  EXPECT_EQ(Do(&Admin::Stub::ResolveSaga, "order-1", "otto", id).reason, "UNKNOWN_SAGA");
  const auto after = Get(id);
  EXPECT_EQ(after.saga().state(), order::v1::SAGA_STATE_ENDED);
  ASSERT_EQ(after.acts_size(), 1);
  EXPECT_EQ(after.acts(0).operator_(), "olga");
  EXPECT_EQ(after.acts(0).note(), "by olga");
  EXPECT_TRUE(Eventually([&] { return Get(id).saga().outcome() == order::v1::SAGA_OUTCOME_COMPLETED; }));
  EXPECT_GE(Get(id).history_size(), 1);
}

TEST_F(SagaAdmin, ACompensatedOrderIsCancelledAndItsStockIsBack) {
  const auto before = fleet->Stock("sku").available();
  const std::string id = Parked("compensated");
  EXPECT_EQ(fleet->Stock("sku").available(), before - 1);
  EXPECT_TRUE(Do(&Admin::Stub::CompensateSaga, "order-1", "otto", id).status.ok());
  EXPECT_TRUE(Becomes(id, ORDER_STATE_CANCELLED));
  EXPECT_EQ(GetOrder(*fleet->orders(), "user", id).order.cancel_reason(), "COMPENSATED_BY_OPERATOR");
  EXPECT_EQ(fleet->Stock("sku").available(), before);
  EXPECT_TRUE(Eventually([&] { return Get(id).saga().outcome() == order::v1::SAGA_OUTCOME_COMPENSATED; }));
}

TEST_F(SagaAdmin, ActsOfAllAreListedInPages) {
  order::v1::ListOperatorActsRequest request;
  request.set_page_size(1);
  std::vector<std::string> operators;
  do {
    order::v1::ListOperatorActsResponse response;
    ASSERT_TRUE(Call(*fleet->sagas(), &Admin::Stub::ListOperatorActs, "olga", request, &response).status.ok());
    for (const auto& act : response.acts()) operators.push_back(act.operator_());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(operators, ElementsAre("otto", "olga"));  // the newest first; these tests run in order
}

TEST_F(SagaAdmin, AResolvedOrderEndsWhereTheOperatorSays) {
  const auto before = fleet->Stock("sku").available();
  const std::string id = Parked("resolved");
  // What the operator does by hand; both also keep out whatever comes late.
  payment::v1::RefundRequest refund;
  refund.set_order_id(id);
  payment::v1::RefundResponse refunded;
  using payment::v1::PaymentService;
  ASSERT_TRUE(Call(*fleet->payments(), &PaymentService::Stub::Refund, "", refund, &refunded).status.ok());
  inventory::v1::ReleaseRequest release;
  release.set_order_id(id);
  inventory::v1::ReleaseResponse released;
  using inventory::v1::InventoryService;
  ASSERT_TRUE(Call(*fleet->inventory(), &InventoryService::Stub::Release, "", release, &released).status.ok());
  EXPECT_TRUE(Do(&Admin::Stub::ResolveSaga, "order-2", "olga", id).status.ok());
  EXPECT_EQ(Get(id).saga().state(), order::v1::SAGA_STATE_RESOLVED);
  EXPECT_EQ(Get(id).acts_size(), 1);
  const auto order = GetOrder(*fleet->orders(), "user", id).order;
  EXPECT_EQ(order.state(), ORDER_STATE_CANCELLED);
  EXPECT_EQ(order.cancel_reason(), "RESOLVED_BY_OPERATOR");
  EXPECT_EQ(fleet->Stock("sku").available(), before);
  EXPECT_EQ(fleet->Check(), "");
}

TEST_F(SagaAdmin, AllThatAnOutageHasParkedGoOnAtOneCall) {
  const std::string id = Parked("many");
  order::v1::RetrySagasRequest request;
  request.set_type("create");
  request.set_parked_step("charge");
  order::v1::RetrySagasResponse response;
  const auto retry = [&] { return Call(*fleet->sagas(), &Admin::Stub::RetrySagas, "olga", request, &response); };
  EXPECT_EQ(retry().field, "note");
  request.set_note("payment is back");
  request.set_max_sagas(1001);
  EXPECT_EQ(retry().field, "max_sagas");
  request.set_max_sagas(1000);
  ASSERT_TRUE(retry().status.ok());
  EXPECT_EQ(response.retried(), 1);
  ASSERT_TRUE(retry().status.ok());
  EXPECT_EQ(response.retried(), 0);
  EXPECT_TRUE(Becomes(id, ORDER_STATE_PAID));
  ASSERT_EQ(Get(id).acts_size(), 1);
  EXPECT_EQ(Get(id).acts(0).note(), "payment is back");
}

}  // namespace
}  // namespace flotilla::fleet
