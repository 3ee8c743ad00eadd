#include "identity/policy.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace flotilla::identity {
namespace {

constexpr Access kOpen{.open = true};
constexpr Access kUser{.users = Users::kAll};
constexpr Access kOperator{.users = Users::kOperators};
constexpr Access kOrder{.service = "order"};
constexpr Access kPayment{.service = "payment"};
constexpr Access kGatewayOrOperator{.users = Users::kOperators, .service = "gateway"};
constexpr Access kOrderOrOperator{.users = Users::kOperators, .service = "order"};

struct Row {
  const char* service;
  const char* method;
  Access access;
};

// Of a user's methods the handlers see to it that the user meets nobody else's things.
constexpr Row kTable[] = {
    {"flotilla.order.v1.OrderService", "CreateOrder", kUser},
    {"flotilla.order.v1.OrderService", "BatchCreateOrders", kGatewayOrOperator},
    {"flotilla.order.v1.OrderService", "GetOrder", kUser},
    {"flotilla.order.v1.OrderService", "ListOrders", kUser},
    {"flotilla.order.v1.OrderService", "CancelOrder", kUser},
    {"flotilla.order.v1.OrderService", "RefundOrder", kOperator},
    {"flotilla.order.v1.OrderService", "WatchOrder", kUser},
    {"flotilla.order.v1.OrderService", "WatchOrders", kUser},

    {"flotilla.order.v1.CompletionService", "BatchGetCompletions", kPayment},
    {"flotilla.order.v1.CompletionService", "ListOutcomes", kPayment},

    {"flotilla.order.v1.SagaAdminService", "ListSagas", kOperator},
    {"flotilla.order.v1.SagaAdminService", "GetSaga", kOperator},
    {"flotilla.order.v1.SagaAdminService", "RetrySaga", kOperator},
    {"flotilla.order.v1.SagaAdminService", "RetrySagas", kOperator},
    {"flotilla.order.v1.SagaAdminService", "CompensateSaga", kOperator},
    {"flotilla.order.v1.SagaAdminService", "ResolveSaga", kOperator},
    {"flotilla.order.v1.SagaAdminService", "ListOperatorActs", kOperator},

    {"flotilla.inventory.v1.InventoryService", "PutSku", kOperator},
    {"flotilla.inventory.v1.InventoryService", "ImportSkus", kOperator},
    {"flotilla.inventory.v1.InventoryService", "AdjustStock", kOperator},
    {"flotilla.inventory.v1.InventoryService", "ListStockMovements", kOperator},
    {"flotilla.inventory.v1.InventoryService", "ReconcileStock", kOperator},
    {"flotilla.inventory.v1.InventoryService", "GetStock", kUser},
    {"flotilla.inventory.v1.InventoryService", "BatchGetPrices", kUser},
    {"flotilla.inventory.v1.InventoryService", "ListStock", kUser},
    {"flotilla.inventory.v1.InventoryService", "WatchStock", kUser},
    {"flotilla.inventory.v1.InventoryService", "Reserve", kOrder},
    {"flotilla.inventory.v1.InventoryService", "ExtendHold", kOrder},
    {"flotilla.inventory.v1.InventoryService", "Confirm", kOrder},
    {"flotilla.inventory.v1.InventoryService", "Release", kOrderOrOperator},
    {"flotilla.inventory.v1.InventoryService", "BatchReserve", kOrder},
    {"flotilla.inventory.v1.InventoryService", "BatchConfirm", kOrder},
    {"flotilla.inventory.v1.InventoryService", "BatchRelease", kOrder},

    {"flotilla.payment.v1.PaymentService", "OpenAccount", kUser},
    {"flotilla.payment.v1.PaymentService", "GetAccount", kUser},
    {"flotilla.payment.v1.PaymentService", "Deposit", kOperator},
    {"flotilla.payment.v1.PaymentService", "Charge", kOrder},
    {"flotilla.payment.v1.PaymentService", "Refund", kOrderOrOperator},
    {"flotilla.payment.v1.PaymentService", "Authorize", kOrder},
    {"flotilla.payment.v1.PaymentService", "Capture", kOrder},
    {"flotilla.payment.v1.PaymentService", "Void", kOrder},
    {"flotilla.payment.v1.PaymentService", "CreatePayment", kOrder},
    {"flotilla.payment.v1.PaymentService", "BatchGetPayments", kOrder},
    {"flotilla.payment.v1.PaymentService", "BatchCharge", kOrder},
    {"flotilla.payment.v1.PaymentService", "BatchRefund", kOrder},
    {"flotilla.payment.v1.PaymentService", "Settle", kOrderOrOperator},
    {"flotilla.payment.v1.PaymentService", "HandleCallback", kOpen},  // signed by the provider

    {"flotilla.payment.v1.LedgerService", "ListTransfers", kOperator},
    {"flotilla.payment.v1.LedgerService", "GetStatement", kOperator},
    {"flotilla.payment.v1.LedgerService", "GetTrialBalance", kOperator},
    {"flotilla.payment.v1.LedgerService", "VerifyJournal", kOperator},

    {"flotilla.payment.v1.ReconciliationService", "ImportStatement", kOperator},
    {"flotilla.payment.v1.ReconciliationService", "ListStatements", kOperator},
    {"flotilla.payment.v1.ReconciliationService", "WithdrawStatement", kOperator},
    {"flotilla.payment.v1.ReconciliationService", "ListDifferences", kOperator},
    {"flotilla.payment.v1.ReconciliationService", "ResolveDifference", kOperator},

    {"flotilla.notify.v1.NotifyService", "Subscribe", kUser},
    {"flotilla.notify.v1.NotifyService", "ListNotifications", kUser},
    {"flotilla.notify.v1.NotifyService", "GetMailbox", kUser},
    {"flotilla.notify.v1.NotifyService", "MarkRead", kUser},
    {"flotilla.notify.v1.NotifyService", "GetPreferences", kUser},
    {"flotilla.notify.v1.NotifyService", "SetPreferences", kUser},

    {"flotilla.notify.v1.WebhookService", "RegisterEndpoint", kUser},
    {"flotilla.notify.v1.WebhookService", "ListEndpoints", kUser},
    {"flotilla.notify.v1.WebhookService", "DeleteEndpoint", kUser},
    {"flotilla.notify.v1.WebhookService", "EnableEndpoint", kUser},
    {"flotilla.notify.v1.WebhookService", "RotateSecret", kUser},
    {"flotilla.notify.v1.WebhookService", "ListDeliveries", kUser},
    {"flotilla.notify.v1.WebhookService", "RedeliverDelivery", kUser},

    {"flotilla.notify.v1.NotifyAdminService", "ListDeadLetters", kOperator},
    {"flotilla.notify.v1.NotifyAdminService", "RedeliverDeadLetter", kOperator},
    {"flotilla.notify.v1.NotifyAdminService", "DiscardDeadLetter", kOperator},

    {"flotilla.event.v1.EventAdminService", "ReplayEvents", kOperator},
    {"flotilla.event.v1.EventAdminService", "ListReplays", kOperator},

    {"grpc.health.v1.Health", "Check", kOpen},
    {"grpc.health.v1.Health", "Watch", kOpen},
    {"grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", kOpen},
};

absl::flat_hash_map<std::string, Access> ByName() {
  absl::flat_hash_map<std::string, Access> all;
  for (const Row& row : kTable) all.emplace(absl::StrCat(row.service, "/", row.method), row.access);
  return all;
}

}  // namespace

const Access* FindAccess(absl::string_view method) {
  static const auto& all = *new absl::flat_hash_map<std::string, Access>(ByName());
  const auto found = all.find(method);
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace flotilla::identity
