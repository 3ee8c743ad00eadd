#include "identity/policy.h"

#include <set>
#include <string>

#include "flotilla/event/v1/event_admin_service.pb.h"
#include "flotilla/inventory/v1/inventory_service.pb.h"
#include "flotilla/notify/v1/notify_admin_service.pb.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "flotilla/notify/v1/webhook_service.pb.h"
#include "flotilla/order/v1/completion_service.pb.h"
#include "flotilla/order/v1/order_service.pb.h"
#include "flotilla/order/v1/saga_admin_service.pb.h"
#include "flotilla/payment/v1/ledger_service.pb.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "flotilla/payment/v1/reconciliation_service.pb.h"
#include "gtest/gtest.h"

namespace flotilla::identity {
namespace {

TEST(Policy, EveryMethodOfTheFleetHasAnEntry) {
  int methods = 0;
  for (const auto* file : {
           order::v1::CreateOrderRequest::descriptor()->file(),
           order::v1::BatchGetCompletionsRequest::descriptor()->file(),
           order::v1::ListSagasRequest::descriptor()->file(),
           inventory::v1::PutSkuRequest::descriptor()->file(),
           payment::v1::ChargeRequest::descriptor()->file(),
           payment::v1::ListTransfersRequest::descriptor()->file(),
           payment::v1::ImportStatementRequest::descriptor()->file(),
           event::v1::ReplayEventsRequest::descriptor()->file(),
           notify::v1::SubscribeRequest::descriptor()->file(),
           notify::v1::ListEndpointsRequest::descriptor()->file(),
           notify::v1::ListDeadLettersRequest::descriptor()->file(),
       }) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m, ++methods) {
        const std::string name = file->service(s)->full_name() + "/" + file->service(s)->method(m)->name();
        const Access* access = FindAccess(name);
        ASSERT_NE(access, nullptr) << name;
        EXPECT_EQ(access->open, name == "flotilla.payment.v1.PaymentService/HandleCallback") << name;
        if (name.find("AdminService") != std::string::npos) EXPECT_EQ(access->users, Users::kOperators) << name;
      }
    }
  }
  EXPECT_GT(methods, 50);
}

TEST(Policy, WhatItDoesNotNameIsClosed) {
  EXPECT_EQ(FindAccess("flotilla.order.v1.OrderService/DropTables"), nullptr);
  EXPECT_EQ(FindAccess("flotilla.order.v1.OrderService/createorder"), nullptr);
  EXPECT_EQ(FindAccess("/flotilla.order.v1.OrderService/CreateOrder"), nullptr);
  EXPECT_EQ(FindAccess(""), nullptr);
}

TEST(Policy, MoneyAndHoldsAreMovedByTheOrderServiceAlone) {
  for (const char* method : {"payment.v1.PaymentService/Charge", "payment.v1.PaymentService/BatchRefund",
                             "inventory.v1.InventoryService/Reserve", "inventory.v1.InventoryService/BatchConfirm"}) {
    const Access* access = FindAccess(std::string("flotilla.") + method);
    ASSERT_NE(access, nullptr) << method;
    EXPECT_EQ(access->users, Users::kNone) << method;
    EXPECT_EQ(access->service, "order") << method;
  }
}

TEST(Policy, OrdersForOthersArePlacedByGatewaysAndOperators) {
  const Access* access = FindAccess("flotilla.order.v1.OrderService/BatchCreateOrders");
  ASSERT_NE(access, nullptr);
  EXPECT_EQ(access->users, Users::kOperators);
  EXPECT_EQ(access->service, "gateway");
}

TEST(Policy, MoneyGoesBackByOperatorsAndTheOrderServiceAlone) {
  for (const auto& [method, service] :
       {std::pair("order.v1.OrderService/RefundOrder", ""), std::pair("payment.v1.PaymentService/Refund", "order"),
        std::pair("inventory.v1.InventoryService/Release", "order")}) {
    const Access* access = FindAccess(std::string("flotilla.") + method);
    ASSERT_NE(access, nullptr) << method;
    EXPECT_EQ(access->users, Users::kOperators) << method;
    EXPECT_EQ(access->service, service) << method;
  }
}

}  // namespace
}  // namespace flotilla::identity
