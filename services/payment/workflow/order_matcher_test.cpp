#include "payment/workflow/order_matcher.h"

#include <memory>

#include "payment/workflow/order_fixture.h"
#include "telemetry/metrics.h"
#include "testing/eventually.h"

namespace flotilla::payment {
namespace {

OrderWord Sold(std::int64_t total, std::int64_t refunded = 0) {
  return {.standing = Standing::kComplete, .total = {"EUR", total}, .refunded = refunded};
}

class OrderMatcherTest : public OrderTest {
 protected:
  std::unique_ptr<OrderMatcher> Run() {
    auto matcher = std::make_unique<OrderMatcher>(
        OrderMatcher::Options{
            .postgres = database_->options(),
            .after = absl::ZeroDuration(),
            .every = absl::Milliseconds(20),
            .ask = [this](std::span<const OrderLook> looks) { return says_.Ask(looks); },
            .list = [this](const std::string& token, absl::Duration, int) { return says_.List(token); },
            .period = absl::Milliseconds(10)},
        *clock_);
    matcher->Start();
    return matcher;
  }
  // Its class; 0: none.
  static std::int64_t Open(const std::string& order) {
    return Query("SELECT coalesce(sum(class), 0) FROM difference WHERE state = 1 AND order_id = '" + order + "'");
  }
  static std::int64_t Looks(const std::string& order) {
    return Query("SELECT coalesce(sum(looks), 0) FROM order_look WHERE order_id = '" + order + "'");
  }
  void TearDown() override {
    database_->Query("DELETE FROM order_look; UPDATE order_match_cursor SET order_token = ''");
    OrderTest::TearDown();
  }
};

TEST_F(OrderMatcherTest, WhatDiffersIsToldAndGoesByItselfOnceItAgrees) {
  const std::string sold = Charged(Sold(100)), missing = Charged({Standing::kUnknown}),
                    cancelled = Charged({Standing::kEnded}), more = Charged(Sold(101)),
                    busy = Charged({Standing::kUnderWay});
  const std::string unpaid = NewOrder();
  says_.End(unpaid, Sold(100));
  const auto matcher = Run();
  EXPECT_TRUE(Eventually([&] { return Open(missing) == 5; }));
  EXPECT_TRUE(Eventually([&] { return Open(cancelled) == 6; }));
  EXPECT_TRUE(Eventually([&] { return Open(unpaid) == 7; })) << "only order knows of it";
  EXPECT_TRUE(Eventually([&] { return Open(more) == 8; }));
  EXPECT_TRUE(Eventually([&] { return Looks(busy) > 3; }));
  EXPECT_EQ(Open(busy), 0);
  EXPECT_EQ(Open(sold) + Looks(sold), 0);
  // Under way for an hour.
  database_->Query("UPDATE order_look SET since = since - interval '1 hour' WHERE order_id = '" + busy + "'");
  EXPECT_TRUE(Eventually([&] { return Open(busy) == 9; }));

  says_.Set(busy, Sold(100));
  says_.Set(more, Sold(100));
  says_.Set(unpaid, {Standing::kEnded});
  Refund(missing);
  Refund(cancelled);
  for (const std::string& order : {missing, cancelled, unpaid, more, busy}) {
    EXPECT_TRUE(Eventually([&] { return Open(order) == 0 && Looks(order) == 0; }));
  }
  EXPECT_EQ(Query("SELECT count(*) FROM difference WHERE order_id IS NOT NULL AND state = 2"), 5);
}

// The order ends otherwise long after it was compared: its own log tells.
TEST_F(OrderMatcherTest, ALaterEndIsComparedAnew) {
  const std::string order = Charged(Sold(100));
  const auto matcher = Run();
  const std::string last = Charged({Standing::kUnderWay});
  ASSERT_TRUE(Eventually([&] { return Looks(last) > 0; }));
  EXPECT_EQ(Open(order) + Looks(order), 0);
  says_.End(order, {Standing::kEnded});
  EXPECT_TRUE(Eventually([&] { return Open(order) == 6; }));
  // So does the ledger's.
  const std::string other = Charged(Sold(100));
  says_.End(other, Sold(100));
  Refund(other);
  EXPECT_TRUE(Eventually([&] { return Open(other) == 7; }));
}

TEST_F(OrderMatcherTest, WhileOrderIsAwayItStandsStillAndPassesNothing) {
  says_.SetAway(true);
  const std::string cancelled = Charged({Standing::kEnded}), unpaid = NewOrder();
  says_.End(unpaid, Sold(100));
  auto& failed = telemetry::Counter("flotilla_payment_order_matches_failed_total", "");
  for (int life = 0; life < 2; ++life) {  // payment is restarted meanwhile
    const double before = failed.Value();
    const auto matcher = Run();
    EXPECT_TRUE(Eventually([&] { return failed.Value() > before; }));
  }
  EXPECT_EQ(Looks(cancelled) + Looks(unpaid), 0);
  says_.SetAway(false);
  const auto matcher = Run();
  EXPECT_TRUE(Eventually([&] { return Open(cancelled) == 6 && Open(unpaid) == 7; }));
  // Nor is what differs forgotten, or closed.
  says_.SetAway(true);
  const double before = failed.Value();
  EXPECT_TRUE(Eventually([&] { return failed.Value() > before; }));
  EXPECT_EQ(Open(cancelled), 6);
}

TEST_F(OrderMatcherTest, TwoAtWorkTellEverythingOnce) {
  const auto one = Run(), other = Run();
  std::vector<std::string> orders;
  for (int i = 0; i < 40; ++i) orders.push_back(Charged(i % 2 == 0 ? OrderWord{Standing::kEnded} : Sold(100)));
  for (std::size_t i = 0; i < orders.size(); ++i) {
    EXPECT_TRUE(Eventually([&] { return Open(orders[i]) == (i % 2 == 0 ? 6 : 0); }));
  }
  EXPECT_EQ(Query("SELECT count(*) FROM (SELECT 1 FROM difference WHERE order_id IS NOT NULL GROUP BY order_id "
                  "HAVING count(*) > 1) twice"),
            0);
}

}  // namespace
}  // namespace flotilla::payment
