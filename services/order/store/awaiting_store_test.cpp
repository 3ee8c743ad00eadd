#include "order/store/awaiting_store.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "order/codec/codec.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"
#include "testing/eventually.h"

namespace flotilla::order {
namespace {

constexpr int kOrders = 40;
const absl::Time kPayBy = absl::FromUnixSeconds(1000);

class AwaitingStoreTest : public testing::Test {
 protected:
  AwaitingStoreTest() {
    EXPECT_EQ(postgres::Migrate(database_.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
  }
  static saga::Record RecordOf(const Order& order) {
    saga::Record record;
    record.id = order.order_id;
    record.type = "test";
    return record;
  }
  std::vector<Order> Placed(PaymentMethod method) {
    std::vector<Order> placed;
    std::vector<Placement> placements;
    for (int i = 0; i < kOrders; ++i) {
      Order order;
      order.user_id = "anna";
      order.idempotency_key = absl::StrCat(static_cast<int>(method), "-", i);
      order.order_id = OrderId("anna", order.idempotency_key);
      order.payment_method = method;
      order.currency = "EUR";
      order.total = 1;
      order.created_at = order.updated_at = absl::FromUnixSeconds(1);
      placements.push_back({order, EventOf(order, ""), RecordOf(order)});
      placed.push_back(order);
    }
    EXPECT_TRUE(orders_.Place(placements).ok());
    return placed;
  }
  void Change(std::vector<Order>& orders, State state, order::Change::Saga saga) {
    std::vector<order::Change> changes;
    for (Order& order : orders) {
      order = Advance(order, state, absl::FromUnixSeconds(2));
      changes.push_back({order, EventOf(order, ""), RecordOf(order), saga});
    }
    const auto results = orders_.Apply(changes);
    ASSERT_TRUE(results.ok()) << results.status();
    for (const ChangeResult result : *results) EXPECT_EQ(result, ChangeResult::kDone);
  }
  std::vector<Overdue> List(absl::Time latest, const std::optional<Overdue>& after = {}, int limit = 1000) {
    const auto overdue = awaiting_.List(latest, after, limit);
    EXPECT_TRUE(overdue.ok()) << overdue.status();
    return *overdue;
  }
  postgres::TestDatabase database_;
  OrderStore orders_{database_.options(), "me", absl::Minutes(1)};
  AwaitingStore awaiting_{database_.options()};
};

TEST_F(AwaitingStoreTest, ListsWhoAwaitsPaymentTooLong) {
  std::vector<Order> orders = Placed(PaymentMethod::kExternal);
  EXPECT_TRUE(List(absl::FromUnixSeconds(5000)).empty()) << "reserved only";
  for (std::size_t i = 0; i < orders.size(); ++i) {
    orders[i].pay_by = kPayBy + absl::Seconds(static_cast<int>(i) / 10);  // ten at a time
  }
  Change(orders, State::kAwaitingPayment, order::Change::Saga::kEnds);
  EXPECT_TRUE(List(kPayBy - absl::Seconds(1)).empty());
  EXPECT_EQ(List(kPayBy).size(), 10u);
  // Page by page, each once.
  std::set<std::string> seen;
  std::optional<Overdue> last;
  while (true) {
    const auto page = List(kPayBy + absl::Hours(1), last, 7);
    if (page.empty()) break;
    for (const Overdue& overdue : page) EXPECT_TRUE(seen.insert(overdue.key.order_id).second);
    last = page.back();
  }
  EXPECT_EQ(seen.size(), orders.size());
  Change(orders, State::kReserved, order::Change::Saga::kBegins);
  EXPECT_TRUE(List(kPayBy + absl::Hours(1)).empty()) << "paid";
}

// As an instance from before the column does in a rolling upgrade.
TEST_F(AwaitingStoreTest, WhoWasTakenOnByAnOlderInstanceIsNotListed) {
  std::vector<Order> orders = Placed(PaymentMethod::kExternal);
  for (Order& order : orders) order.pay_by = kPayBy;
  Change(orders, State::kAwaitingPayment, order::Change::Saga::kEnds);
  database_.Query("UPDATE orders SET state = 2 WHERE idempotency_key <> '2-0'");
  EXPECT_EQ(List(kPayBy).size(), 1u);
}

// The hot path's update stays on its page: no index that it would have to touch may know of the state.
TEST_F(AwaitingStoreTest, UpdatesOfOtherOrdersNeedNoIndexEntries) {
  std::vector<Order> orders = Placed(PaymentMethod::kWallet);
  Change(orders, State::kPaid, order::Change::Saga::kEnds);
  const auto count = [&](const std::string& column) {
    return database_.Query("SELECT " + column + " FROM pg_stat_user_tables WHERE relname = 'orders'");
  };
  // A session tells once it is idle.
  ASSERT_TRUE(Eventually([&] { return count("n_tup_upd") == std::to_string(kOrders); }, absl::Seconds(60)));
  EXPECT_EQ(count("n_tup_hot_upd"), std::to_string(kOrders));
}

}  // namespace
}  // namespace flotilla::order
