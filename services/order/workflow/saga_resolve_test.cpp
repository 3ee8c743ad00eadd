#include "order/workflow/saga_resolve.h"

#include <algorithm>
#include <string>
#include <vector>

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
      data.set_amount(100);
      record.data = data.SerializeAsString();
    }
    OrderStore store(database.options(), "me", absl::Seconds(1));
    const Placement placement{order, EventOf(order, ""), record};
    EXPECT_TRUE(store.Place({&placement, 1}).ok());
    database.Query("UPDATE saga SET direction = 2, parked_from = 0, parked_step = 'charge', compensable = true");
  }
  absl::Status Resolve(State end) {
    return saga::AdminStore(database.options(), EndOrder)
        .Do(saga::Act::kResolve, {GetParam(), order.order_id}, "olga", "done by hand", static_cast<int>(end));
  }
  // As the type's saga would find it.
  void Stand(State state) { database.Query(absl::StrCat("UPDATE orders SET state = ", static_cast<int>(state))); }
  Order Stored() {
    OrderStore store(database.options(), "me", absl::Seconds(1));
    const OrderKey key{"anna", order.order_id};
    return (*store.Read({&key, 1}))[0].value();
  }
  std::int64_t Count(const std::string& table) {
    pqxx::connection connection(database.options().uri);
    return pqxx::nontransaction(connection).exec1("SELECT count(*) FROM " + table)[0].as<std::int64_t>();
  }
  postgres::TestDatabase database;
  Order order;
};

struct Case {
  const char* type;
  State stands;
  std::vector<State> ends;
};
const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {{"create", State::kReserved, {State::kPaid, State::kCancelled}},
                                          {"open_payment", State::kReserved, {State::kPaid, State::kCancelled}},
                                          {"complete_payment", State::kReserved, {State::kPaid, State::kCancelled}},
                                          {"cancel", State::kCancelling, {State::kCancelled}},
                                          {"refund", State::kRefunding, {State::kRefunded}}};
  return cases;
}

TEST_P(SagaResolve, BringsTheOrderToAnEndThatItsSagaCouldHaveHad) {
  const Case& with =
      *std::ranges::find_if(Cases(), [](const Case& each) { return each.type == std::string(GetParam()); });
  Stand(with.stands);
  for (int state = 0; state <= 9; ++state) {
    if (std::ranges::count(with.ends, static_cast<State>(state)) != 0) continue;
    EXPECT_EQ(errors::Reason(Resolve(static_cast<State>(state))), "WRONG_END_STATE") << state;
  }
  EXPECT_EQ(Count("saga"), 1);
  EXPECT_EQ(Count("operator_act"), 0);
  EXPECT_EQ(Stored().version, order.version);

  EXPECT_EQ(Resolve(with.ends.back()), absl::OkStatus());
  const Order ended = Stored();
  EXPECT_EQ(ended.state, with.ends.back());
  EXPECT_EQ(ended.version, order.version + 1);
  EXPECT_EQ(ended.cancel_reason, ended.state == State::kCancelled ? "RESOLVED_BY_OPERATOR" : "");
  EXPECT_EQ(ended.refunded, ended.state == State::kRefunded ? 100 : 0);
  EXPECT_EQ(Count("event"), 2) << "the order's first state and its end";
  EXPECT_EQ(Count("saga"), 0);
  EXPECT_EQ(Count("saga_archive"), 1);
  EXPECT_EQ(Count("operator_act"), 1);
}

TEST_P(SagaResolve, AnOrderThatStandsThereAlreadyIsLeftAlone) {
  Stand(State::kCancelled);
  EXPECT_EQ(Resolve(State::kCancelled), absl::OkStatus());
  EXPECT_EQ(Stored().version, order.version);
  EXPECT_EQ(Count("event"), 1);
  EXPECT_EQ(Count("saga"), 0);
}

INSTANTIATE_TEST_SUITE_P(OfEachType, SagaResolve,
                         testing::Values("create", "cancel", "open_payment", "complete_payment", "refund"));

}  // namespace
}  // namespace flotilla::order
