#include "order/workflow/order_hub.h"

#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "gtest/gtest.h"
#include "order/workflow/state_metrics.h"
#include "telemetry/metrics.h"

namespace flotilla::order {
namespace {

Order Make(const std::string& id, std::int64_t version) {
  Order order;
  order.order_id = id;
  order.version = version;
  return order;
}

async::Task<std::optional<Order>> WaitOn(OrderHub::Ticket& ticket, absl::Duration patience) {
  std::vector<Order> news = co_await ticket.Wait(async::After(patience));
  if (news.empty()) co_return std::nullopt;
  EXPECT_EQ(news.size(), 1u);
  co_return std::move(news.front());
}

TEST(OrderHub, NewsBeforeTheWaitIsNotLost) {
  OrderHub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("a");
  hub.Publish(Make("a", 2));
  hub.Publish(Make("b", 9));
  const auto news = async::BlockOn(executor, WaitOn(*ticket, absl::Seconds(5)));
  ASSERT_TRUE(news.has_value());
  EXPECT_EQ(news->version, 2);
}

TEST(OrderHub, PublishWakesAllWaitersOfTheOrder) {
  OrderHub hub;
  async::ThreadExecutor one, two;
  const auto first = hub.Register("a"), second = hub.Register("a");
  std::thread publisher([&] {
    absl::SleepFor(absl::Milliseconds(50));
    hub.Publish(Make("a", 3));
  });
  std::thread other([&] { EXPECT_TRUE(async::BlockOn(two, WaitOn(*second, absl::Seconds(5))).has_value()); });
  EXPECT_TRUE(async::BlockOn(one, WaitOn(*first, absl::Seconds(5))).has_value());
  publisher.join();
  other.join();
}

TEST(OrderHub, DeadlineEndsTheWaitAndOldNewsIsNone) {
  OrderHub hub;
  async::ThreadExecutor executor;
  const auto ticket = hub.Register("a");
  EXPECT_FALSE(async::BlockOn(executor, WaitOn(*ticket, absl::Milliseconds(30))).has_value());
  hub.Publish(Make("a", 3));
  hub.Publish(Make("a", 2));
  EXPECT_EQ(async::BlockOn(executor, WaitOn(*ticket, absl::Seconds(5)))->version, 3);
}

TEST(StateMetrics, CountEveryStateThatIsEntered) {
  const auto count = [](const char* state) {
    return telemetry::Counter("flotilla_order_states_total", "Orders that entered a state", {{"state", state}}).Value();
  };
  OrderHub hub;
  CountStates(hub);
  Order order = Make("a", 1);
  for (int state = 1; state <= 8; ++state) {
    order.state = static_cast<State>(state);
    hub.Publish(order);
  }
  hub.Publish(order);
  for (const char* state :
       {"reserved", "paid", "cancelled", "cancelling", "awaiting_payment", "refunding", "refunded"}) {
    EXPECT_EQ(count(state), 1) << state;
  }
  EXPECT_EQ(count("partially_refunded"), 2);
}

}  // namespace
}  // namespace flotilla::order
