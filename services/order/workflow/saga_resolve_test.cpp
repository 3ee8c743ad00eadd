#include "order/workflow/saga_resolve.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "errors/errors.h"
#include "flotilla/order/v1/order_saga.pb.h"
#include "gtest/gtest.h"
#include "order/codec/codec.h"
#include "order/store/order_store.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::order {
namespace {

class SagaResolve : public testing::TestWithParam<const char*> {
 protected:
  SagaResolve() {
    EXPECT_EQ(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
    order.user_id = "anna";
    order.idempotency_key = "k";
    order.order_id = OrderId("anna", "k");
    order.lines = {{"sku", 1, 100}};
    order.body_hash = BodyHash(order.lines, PaymentMethod::kWallet);
    order.currency = "EUR";
    order.total = 100;
    order.created_at = order.updated_at = ToMicroseconds(absl::Now());
    saga::Record record;
    record.id = order.order_id;
    record.type = GetParam();
    record.data = Encode(order);
    if (record.type == "refund") {
      v1::RefundSaga data;
      *data.mutable_order() = ToProto(order);
      record.data = data.SerializeAsString();
    }
    OrderStore store(database.options(), "me", absl::Seconds(1));
    const Placement placement{order, EventOf(order, ""), record};
    EXPECT_TRUE(store.Place({&placement, 1}).ok());
    database.Query("UPDATE saga SET direction = 2, parked_from = 0, parked_step = 'charge', compensable = true");
  }
  absl::Status Resolve() {
    return saga::AdminStore(database.options(), MayResolve)
        .Do(saga::Act::kResolve, {GetParam(), order.order_id}, "olga", "done by hand");
  }
  std::int64_t Count(const std::string& table) {
    pqxx::connection connection(database.options().uri);
    return pqxx::nontransaction(connection).exec1("SELECT count(*) FROM " + table)[0].as<std::int64_t>();
  }
  postgres::TestDatabase database;
  Order order;
};

TEST_P(SagaResolve, OnlyAnOrderAtRestIsLeftWithoutItsSaga) {
  for (const State state : {State::kReserved, State::kCancelling, State::kRefunding}) {
    database.Query(absl::StrCat("UPDATE orders SET state = ", static_cast<int>(state)));
    EXPECT_EQ(errors::Reason(Resolve()), "ORDER_NOT_AT_REST");
  }
  EXPECT_EQ(Count("saga"), 1);
  EXPECT_EQ(Count("operator_act"), 0);
  database.Query(absl::StrCat("UPDATE orders SET state = ", static_cast<int>(State::kCancelled)));
  EXPECT_EQ(Resolve(), absl::OkStatus());
  EXPECT_EQ(Count("saga"), 0);
  EXPECT_EQ(Count("saga_archive"), 1);
}

INSTANTIATE_TEST_SUITE_P(OfEachType, SagaResolve,
                         testing::Values("create", "cancel", "open_payment", "complete_payment", "refund"));

}  // namespace
}  // namespace flotilla::order
