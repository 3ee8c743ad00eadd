#include "rebuild/rebuild.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "order/codec/codec.h"
#include "order/store/order_store.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::rebuild {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;

class RebuildTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(postgres::Migrate(database_.options(), order::Schema(), absl::Seconds(10)).ok());
    order::OrderStore store(database_.options(), "me", absl::Seconds(5));
    for (int i = 0; i < 5; ++i) {
      order::Order order;
      order.user_id = "anna";
      order.idempotency_key = absl::StrCat("k", i);
      order.order_id = order::OrderId(order.user_id, order.idempotency_key);
      order.lines = {{"a", 2, 250}, {"b.x", 3, 100}};
      order.body_hash = order::BodyHash(order.lines, order::PaymentMethod::kWallet);
      order.currency = "EUR";
      order.total = 800;
      order.created_at = order.updated_at = order::ToMicroseconds(absl::Now());
      saga::Record record;
      record.id = order.order_id;
      record.type = "create";
      record.data = order::Encode(order);
      const order::Placement placement{order, order::EventOf(order, ""), record};
      ASSERT_TRUE(store.Place({&placement, 1}).ok());
      if (i == 0) continue;
      order::Change change;
      change.order = order::Advance(order, order::State::kPaid, absl::Now());
      change.event = order::EventOf(change.order, "");
      change.record = record;
      const auto changed = store.Apply({&change, 1});
      ASSERT_TRUE(changed.ok() && changed->front() == order::ChangeResult::kDone) << changed.status();
    }
  }
  Report Compare() {
    const auto report = rebuild::Compare(database_.options());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : Report();
  }

  postgres::TestDatabase database_;
};

TEST_F(RebuildTest, TheLogFoldsToTheTable) {
  const Report report = Compare();
  EXPECT_THAT(report.examples, IsEmpty());
  EXPECT_EQ(report.orders, 5);
  EXPECT_EQ(report.events, 9);
  EXPECT_EQ(report.differences, 0);
}

TEST_F(RebuildTest, WhatIsPlantedIsFound) {
  const auto with_key = [](int i) { return absl::StrCat(" WHERE idempotency_key = 'k", i, "'"); };
  const auto stream = [](int i) {
    return absl::StrCat(" WHERE stream_id = '", order::OrderId("anna", absl::StrCat("k", i)), "'");
  };
  database_.Query("UPDATE orders SET state = 3" + with_key(1));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("its state is 2 by the log, 3 in the table")));
  database_.Query("UPDATE orders SET state = 2, version = 3" + with_key(1));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("the log is at version 2, the table at 3")));
  database_.Query("UPDATE orders SET version = 2, total = 799" + with_key(1));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("the total differs")));
  database_.Query("UPDATE orders SET total = 800, quantities = '{1,3}'" + with_key(1));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("the lines differ")));
  database_.Query("UPDATE orders SET quantities = '{2,3}'" + with_key(1));
  EXPECT_THAT(Compare().examples, IsEmpty());
  database_.Query("DELETE FROM event" + stream(2) + " AND sequence = 1");
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("event 1 is missing")));
  database_.Query("DELETE FROM event" + stream(2));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("it has a row but no events")));
  database_.Query("DELETE FROM orders" + with_key(2));
  database_.Query("DELETE FROM orders" + with_key(3));
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("it has events but no row")));
}

// The log's first parts were dropped with the first event, or all, of orders from before.
TEST_F(RebuildTest, WhatIsOlderThanTheLogIsComparedAsFarAsItGoes) {
  const auto stream = [](int i) {
    return absl::StrCat(" WHERE stream_id = '", order::OrderId("anna", absl::StrCat("k", i)), "'");
  };
  database_.Query("DELETE FROM event" + stream(1) + " AND sequence = 1");
  database_.Query("DELETE FROM event" + stream(0));
  EXPECT_EQ(Compare().differences, 2);
  database_.Query(
      "INSERT INTO event_part (name, ends_at, dropped_at) VALUES ('gone', now() + interval '1 hour', now())");
  const Report report = Compare();
  EXPECT_THAT(report.examples, IsEmpty());
  EXPECT_EQ(report.older, 2);
  database_.Query("UPDATE orders SET state = 3 WHERE idempotency_key = 'k1'");
  EXPECT_THAT(Compare().examples, ElementsAre(EndsWith("its state is 2 by the log, 3 in the table")));
  database_.Query("UPDATE event_part SET ends_at = now() - interval '20 days' WHERE name = 'gone'");
  EXPECT_EQ(Compare().differences, 2) << "these orders are younger";
}

}  // namespace
}  // namespace flotilla::rebuild
