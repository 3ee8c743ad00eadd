// An order's trace, as a collector sees it.
#include <map>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"
#include "tracing/test_collector.h"

namespace flotilla::fleet {
namespace {

using testing::IsSupersetOf;

constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";

class Traces : public testing::Test {
 protected:
  void Start(const std::string& rate) {
    for (const char* service : {"inventory", "payment", "notify", "order"}) {
      fleet.WaitServing(
          fleet.Start(service, {"--otlp_endpoint=" + collector.address(), "--traces_per_second=" + rate}));
    }
    fleet.PutSku("thing", 10, 100);
    fleet.OpenWallet("buyer", 1000);
  }
  // "service: span" of the trace.
  std::set<std::string> Names(const std::string& trace_id) const {
    std::set<std::string> names;
    for (const auto& [service, instance, span] : collector.spans()) {
      if (absl::BytesToHexString(span.trace_id()) == trace_id) names.insert(absl::StrCat(service, ": ", span.name()));
    }
    return names;
  }

  tracing::TestCollector collector;
  Fleet fleet;
};

TEST_F(Traces, AnOrderThatItsCallerTracesIsSeenThroughTheWholeFleet) {
  Start("0");
  const order::v1::CreateOrderRequest request = MakeOrder("traced", {{"thing", 1}});
  grpc::ClientContext context;
  context.AddMetadata("flotilla-user", "buyer");
  context.AddMetadata("traceparent", absl::StrCat("00-", kTraceId, "-b7ad6b7169203331-01"));
  order::v1::CreateOrderResponse response;
  ASSERT_TRUE(fleet.orders()->CreateOrder(&context, request, &response).ok());

  const std::set<std::string> expected = {"flotilla-order: flotilla.order.v1.OrderService/CreateOrder",
                                          "flotilla-order: reserve",
                                          "flotilla-order: call inventory",
                                          "flotilla-inventory: flotilla.inventory.v1.InventoryService/BatchReserve",
                                          "flotilla-order: saga create",
                                          "flotilla-order: charge",
                                          "flotilla-order: call payment",
                                          "flotilla-payment: flotilla.payment.v1.PaymentService/BatchCharge",
                                          "flotilla-order: confirm",
                                          "flotilla-inventory: flotilla.inventory.v1.InventoryService/BatchConfirm",
                                          "flotilla-order: finish",
                                          "flotilla-order: publish order.paid",
                                          "flotilla-notify: handle order.paid"};
  EXPECT_TRUE(Eventually([&] {
    const std::set<std::string> names = Names(kTraceId);
    return std::includes(names.begin(), names.end(), expected.begin(), expected.end());
  }));
  EXPECT_THAT(Names(kTraceId), IsSupersetOf(expected));

  // Every span but the first hangs on another one of the trace, and none is of another trace.
  std::map<std::string, std::string> parents;
  for (const auto& [service, instance, span] : collector.spans()) {
    EXPECT_EQ(absl::BytesToHexString(span.trace_id()), kTraceId) << service << ": " << span.name();
    parents[absl::BytesToHexString(span.span_id())] = absl::BytesToHexString(span.parent_span_id());
  }
  for (const auto& [span, parent] : parents) {
    EXPECT_TRUE(parent == "b7ad6b7169203331" || parents.contains(parent)) << span;
  }
  EXPECT_EQ(fleet.Check(), "");
}

TEST_F(Traces, SomeOfTheOthersAreSampled) {
  Start("3");
  for (int i = 0; i < 40; ++i) fleet.Stock("thing");
  const auto traces = [&] {
    std::set<std::string> ids;
    for (const auto& [service, instance, span] : collector.spans()) {
      if (span.name() == "flotilla.inventory.v1.InventoryService/GetStock") ids.insert(span.trace_id());
    }
    return ids.size();
  };
  EXPECT_TRUE(Eventually([&] { return traces() >= 1; }));
  EXPECT_LT(traces(), 40u);
}

}  // namespace
}  // namespace flotilla::fleet
