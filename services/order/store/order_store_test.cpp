#include "order/store/order_store.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "order/codec/codec.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::order {
namespace {

class OrderStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    options = database->options();
    const absl::Status status = postgres::Migrate(options, Schema(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() { delete database; }
  static Order MakeOrder(const std::string& user, const std::string& key) {
    Order order;
    order.user_id = user;
    order.idempotency_key = key;
    order.order_id = OrderId(user, key);
    order.lines = {{"a", 2, 250}, {"b.x", 3, 100}};
    order.body_hash = BodyHash(order.lines, PaymentMethod::kWallet);
    order.currency = "EUR";
    order.total = 800;
    order.created_at = order.updated_at = ToMicroseconds(absl::Now());
    return order;
  }
  static Placement MakePlacement(const Order& order) {
    saga::Record record;
    record.id = order.order_id;
    record.type = "create";
    record.data = Encode(order);
    return {order, EventOf(order, ""), record};
  }
  static Change MakeChange(const Order& order, State state, Change::Saga saga, const char* type) {
    Change change;
    change.order = Advance(order, state, absl::Now(), state == State::kCancelled ? "WHY" : "");
    change.event = EventOf(change.order, "");
    change.record.id = order.order_id;
    change.record.type = type;
    change.saga = saga;
    return change;
  }
  static std::int64_t Count(const std::string& sql) {
    pqxx::connection connection(options.uri);
    return pqxx::nontransaction(connection).exec1(sql)[0].as<std::int64_t>();
  }
  static inline postgres::TestDatabase* database = nullptr;
  static inline postgres::Options options;
  OrderStore store{options, "me", absl::Seconds(5)};
};

TEST_F(OrderStoreTest, PlacesOnceAndFindsAgain) {
  const Order order = MakeOrder("anna", "k1");
  const std::vector<Placement> twice = {MakePlacement(order), MakePlacement(order)};
  auto placed = store.Place(twice);
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_FALSE((*placed)[0].existing.has_value());
  ASSERT_TRUE((*placed)[1].existing.has_value());
  EXPECT_EQ(*(*placed)[1].existing, order);
  placed = store.Place(std::span(twice).first(1));
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_EQ(*(*placed)[0].existing, order);
  EXPECT_EQ(Count("SELECT count(*) FROM event WHERE stream_id = '" + order.order_id + "'"), 1);
  EXPECT_EQ(Count("SELECT count(*) FROM saga WHERE id::text = '" + order.order_id + "'"), 1);
}

TEST_F(OrderStoreTest, ARepeatDoesNotHoldUpItsBatch) {
  const Order old = MakeOrder("eva", "old"), fresh = MakeOrder("eva", "new");
  ASSERT_TRUE(store.Place(std::vector{MakePlacement(old)}).ok());
  const auto placed = store.Place(std::vector{MakePlacement(old), MakePlacement(fresh)});
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_EQ(*(*placed)[0].existing, old);
  EXPECT_FALSE((*placed)[1].existing.has_value());
  for (const Order& order : {old, fresh}) {
    EXPECT_EQ(Count("SELECT count(*) FROM event WHERE stream_id = '" + order.order_id + "'"), 1);
    EXPECT_EQ(Count("SELECT count(*) FROM saga WHERE id::text = '" + order.order_id + "'"), 1);
  }
}

TEST_F(OrderStoreTest, ReadsOnlyTheUsersOwn) {
  const Order order = MakeOrder("bea", "k1");
  ASSERT_TRUE(store.Place(std::vector{MakePlacement(order)}).ok());
  const auto read = store.Read(std::vector<OrderKey>{{"thief", order.order_id}, {"bea", order.order_id}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE((*read)[0].has_value());
  EXPECT_EQ(*(*read)[1], order);
}

TEST_F(OrderStoreTest, ChangesFollowTheSaga) {
  const Order order = MakeOrder("carl", "k1");
  ASSERT_TRUE(store.Place(std::vector{MakePlacement(order)}).ok());
  const Change paid = MakeChange(order, State::kPaid, Change::Saga::kEnds, "create");
  Change fenced = paid;
  fenced.record.fence = 0;
  auto results = store.Apply(std::vector{fenced});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0], ChangeResult::kStale) << "an old fence changes nothing";
  EXPECT_EQ(Count("SELECT state FROM orders WHERE user_id = 'carl'"), 1);
  results = store.Apply(std::vector{paid, paid});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0], ChangeResult::kDone);
  EXPECT_EQ((*results)[1], ChangeResult::kStale);
  results = store.Apply(std::vector{paid});
  EXPECT_EQ((*results)[0], ChangeResult::kStale) << "a repeat";
  EXPECT_EQ(Count("SELECT count(*) FROM saga WHERE id::text = '" + order.order_id + "'"), 0);

  const Change cancelling = MakeChange(paid.order, State::kCancelling, Change::Saga::kBegins, "cancel");
  ASSERT_EQ((*store.Apply(std::vector{cancelling}))[0], ChangeResult::kDone);
  ASSERT_EQ((*store.Apply(std::vector{cancelling}))[0], ChangeResult::kStale);
  const Change cancelled = MakeChange(cancelling.order, State::kCancelled, Change::Saga::kEnds, "cancel");
  ASSERT_EQ((*store.Apply(std::vector{cancelled}))[0], ChangeResult::kDone);
  const auto read = store.Read(std::vector<OrderKey>{{"carl", order.order_id}});
  EXPECT_EQ(**read->begin(), cancelled.order);
  EXPECT_EQ(Count("SELECT max(sequence) FROM event WHERE stream_id = '" + order.order_id + "'"), 4);
}

TEST_F(OrderStoreTest, AStaleOrderDoesNotHoldUpItsBatch) {
  const Order bad = MakeOrder("dora", "bad"), good = MakeOrder("dora", "good");
  ASSERT_TRUE(store.Place(std::vector{MakePlacement(bad), MakePlacement(good)}).ok());
  Change wrong = MakeChange(bad, State::kPaid, Change::Saga::kEnds, "create");
  wrong.order.version = 7;
  const auto results = store.Apply(std::vector{wrong, MakeChange(good, State::kPaid, Change::Saga::kEnds, "create")});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0], ChangeResult::kConflict);
  EXPECT_EQ((*results)[1], ChangeResult::kDone);
  EXPECT_EQ(Count("SELECT count(*) FROM saga WHERE id::text = '" + bad.order_id + "'"), 1) << "its record stays";
}

TEST_F(OrderStoreTest, OfTwoEndsInOneBatchTheNewerOwnersCounts) {
  const Order order = MakeOrder("fred", "k1");
  Placement placement = MakePlacement(order);
  placement.record.fence = 2;  // taken over once
  ASSERT_TRUE(store.Place(std::vector{placement}).ok());
  const Change old_owner = MakeChange(order, State::kPaid, Change::Saga::kEnds, "create");
  Change new_owner = old_owner;
  new_owner.record.fence = 2;
  const auto results = store.Apply(std::vector{old_owner, new_owner});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0], ChangeResult::kStale);
  EXPECT_EQ((*results)[1], ChangeResult::kDone);
}

TEST_F(OrderStoreTest, ListsNewestFirstAcrossPages) {
  std::vector<Placement> placements;
  for (int i = 0; i < 5; ++i) {
    Order order = MakeOrder("emil", "k" + std::to_string(i));
    order.created_at = absl::FromUnixMicros(1700000000000000 + i / 2);  // ties are ordered too
    placements.push_back(MakePlacement(order));
  }
  ASSERT_TRUE(store.Place(placements).ok());
  std::vector<std::string> seen;
  ListQuery query{.user_id = "emil", .limit = 2, .before = {}};
  for (;;) {
    const auto page = store.List(query);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->empty()) break;
    for (const Order& order : *page) seen.push_back(order.order_id);
    query.before = ListQuery::Position{page->back().created_at, page->back().order_id};
  }
  EXPECT_EQ(seen.size(), 5u);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 5u);
  EXPECT_EQ(seen[0], placements[4].order.order_id);
}

TEST_F(OrderStoreTest, KnowsWhetherARefundWasTheLast) {
  const OrderKey order{"rita", OrderId("rita", "k")};
  for (const auto& [id, second] : {std::pair("first", 1), std::pair("last", 2)}) {
    database->Query(absl::StrCat("INSERT INTO order_refund VALUES ('rita', '", order.order_id, "', '", id,
                                 "', 5, false, to_timestamp(", second, "))"));
  }
  EXPECT_FALSE((*store.ReadRefund({order, "first"}))->last);
  EXPECT_TRUE((*store.ReadRefund({order, "last"}))->last);
  EXPECT_FALSE(store.ReadRefund({order, "none"})->has_value());
}

}  // namespace
}  // namespace flotilla::order
