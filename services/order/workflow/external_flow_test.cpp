#include "order/workflow/external_flow.h"

#include "async/thread_executor.h"
#include "order/workflow/external_fixture.h"

namespace flotilla::order {
namespace {

using PaymentIntakeTest = ExternalPaymentTest;

// A word may come before the order has written that it awaits it. It waits alone: FAILED_PRECONDITION has the consumer
// single it out, where UNAVAILABLE would hold up everything behind it.
TEST_F(PaymentIntakeTest, AnOrderInBetweenHoldsUpNoOther) {
  const Order between = Placed("between"), ready = Placed("ready");
  Opened(ready);
  const std::vector<events::Event> events = {Paid(between), Paid(ready)};
  EXPECT_TRUE(absl::IsFailedPrecondition(intake.Apply(events)));
  EXPECT_EQ(Begun(ready), 1);
  EXPECT_EQ(Begun(between), 0);
  const auto alone = std::span(events).first(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(intake.Apply(alone)));
  Opened(between);
  EXPECT_EQ(intake.Apply(alone), absl::OkStatus());
  EXPECT_EQ(Begun(between), 1);
}

TEST_F(PaymentIntakeTest, WhoWatchesTheOrderHearsOfItsPayment) {
  const Order order = Placed("watched");
  Opened(order);
  const auto ticket = hub.Register(order.order_id);
  EXPECT_EQ(intake.Apply(std::vector{Paid(order)}), absl::OkStatus());
  async::ThreadExecutor executor;
  const std::vector<Order> news = async::BlockOn(executor, [](OrderHub::Ticket& t) -> async::Task<std::vector<Order>> {
    co_return co_await t.Wait(async::After(absl::Seconds(10)));
  }(*ticket));
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(news.front().state, State::kReserved);
}

}  // namespace
}  // namespace flotilla::order
