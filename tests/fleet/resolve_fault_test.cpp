// kill -9 amid ResolveSaga: the order, its event, the archive and the operator's act are all there or none of them.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "fleet/fleet.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using Admin = order::v1::SagaAdminService;
using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_RESERVED;

class ResolveFault : public testing::Test {
 protected:
  ResolveFault() {
    for (const char* service : {"inventory", "payment", "notify", "order"}) fleet.WaitServing(fleet.Start(service));
    fleet.PutSku("sku", 100, 100);
    fleet.OpenWallet("user", 100000);
  }

  // An order whose saga is parked at its charge, with money and stock brought back by hand.
  std::string Parked(const std::string& key) {
    fleet.Kill("payment-1");
    const auto created = [&] { return CreateOrder(*fleet.orders(), "user", key, {{"sku", 1}}, 1000).status.ok(); };
    EXPECT_TRUE(Eventually(created, absl::Seconds(60)));
    EXPECT_TRUE(fleet.WaitForQuery("order", "SELECT count(*) FROM saga", 1, 30));
    fleet.Kill("order-1");
    EXPECT_EQ(fleet.Query("order",
                          "WITH parked AS (UPDATE saga SET direction = 2, parked_from = 0, parked_step = 'charge', "
                          "error = 'UNAVAILABLE: down', compensable = true, fence = fence + 1 RETURNING 1) "
                          "SELECT count(*) FROM parked"),
              1);
    for (const char* instance : {"payment-1", "order-1"}) {
      fleet.Restart(instance);
      fleet.WaitServing(instance);
    }
    order::v1::ListSagasRequest list;
    list.set_state(order::v1::SAGA_STATE_PARKED);
    order::v1::ListSagasResponse listed;
    EXPECT_TRUE(Call(*fleet.sagas(), &Admin::Stub::ListSagas, "olga", list, &listed).status.ok());
    if (listed.sagas_size() != 1) return "";
    const std::string id = listed.sagas(0).id();
    using payment::v1::PaymentService;
    payment::v1::RefundRequest refund;
    refund.set_order_id(id);
    payment::v1::RefundResponse refunded;
    EXPECT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::Refund, "", refund, &refunded).status.ok());
    using inventory::v1::InventoryService;
    inventory::v1::ReleaseRequest release;
    release.set_order_id(id);
    inventory::v1::ReleaseResponse released;
    EXPECT_TRUE(Call(*fleet.inventory(), &InventoryService::Stub::Release, "", release, &released).status.ok());
    return id;
  }

  Result Resolve(const std::string& id) {
    order::v1::ResolveSagaRequest request;
    request.set_type("create");
    request.set_id(id);
    request.set_note("by hand");
    request.set_order_state(ORDER_STATE_CANCELLED);
    order::v1::ResolveSagaResponse response;
    return Call(*fleet.sagas(), &Admin::Stub::ResolveSaga, "olga", request, &response);
  }

  std::int64_t Count(const std::string& what, const std::string& id) {
    return fleet.Query("order", absl::StrFormat("SELECT count(*) FROM %s = '%s'", what, id));
  }

  Fleet fleet{{.bin = TestFailpointBin()}};
};

TEST_F(ResolveFault, KilledBetweenItsWritesAllIsThereOrNothing) {
  const std::pair<const char*, bool> places[] = {{"admin.resolve.concluded", false},
                                                 {"admin.resolve.archived", false},
                                                 {"commit.flotilla-order_saga_admin.before", false},
                                                 {"commit.flotilla-order_saga_admin.after", true}};
  for (const auto& [place, done] : places) {
    SCOPED_TRACE(place);
    const std::string id = Parked(place);
    ASSERT_FALSE(id.empty());
    fleet.Kill("order-1");
    fleet.Restart("order-1", {absl::StrCat("--failpoints=", place, "=crash")});
    fleet.WaitServing("order-1");
    EXPECT_FALSE(Resolve(id).status.ok());
    EXPECT_TRUE(Eventually([&] { return !fleet.process("order-1").alive(); })) << "was not reached";
    EXPECT_EQ(Count("saga WHERE direction = 2 AND id", id), done ? 0 : 1);
    EXPECT_EQ(Count("saga_archive WHERE id", id), done ? 1 : 0);
    EXPECT_EQ(Count("operator_act WHERE id", id), done ? 1 : 0);
    EXPECT_EQ(Count("event WHERE stream_id", id), done ? 2 : 1);
    fleet.Restart("order-1");
    fleet.WaitServing("order-1");
    EXPECT_EQ(GetOrder(*fleet.orders(), "user", id).order.state(), done ? ORDER_STATE_CANCELLED : ORDER_STATE_RESERVED);
    const Result again = Resolve(id);
    if (done) {
      EXPECT_EQ(again.reason, "UNKNOWN_SAGA");
    } else {
      EXPECT_TRUE(again.status.ok()) << again;
    }
    EXPECT_EQ(GetOrder(*fleet.orders(), "user", id).order.state(), ORDER_STATE_CANCELLED);
    EXPECT_EQ(Count("operator_act WHERE id", id), 1);
  }
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
