#include "order/workflow/order_news.h"

#include <atomic>
#include <cstdlib>
#include <thread>

#include "async/thread_executor.h"
#include "gtest/gtest.h"

namespace flotilla::order {
namespace {

TEST(OrderNews, AWatcherOnAnotherInstanceIsNudged) {
  ASSERT_NE(std::getenv("FLOTILLA_TEST_NATS"), nullptr);
  const events::NatsOptions nats{.url = std::getenv("FLOTILLA_TEST_NATS")};
  OrderHub here, there;
  const OrderNews from_here(nats, here), to_there(nats, there);
  const std::string id = "order-" + std::to_string(absl::ToUnixMicros(absl::Now()));
  const auto ticket = there.Register(id);
  std::atomic<bool> stop = false;
  std::thread writer([&] {  // again and again, since both need a moment to connect
    Order order;
    order.order_id = id;
    for (; !stop; absl::SleepFor(absl::Milliseconds(10))) here.Publish(order);
  });
  async::ThreadExecutor executor;
  const bool in_time = async::BlockOn(executor, [](OrderHub::Ticket& t) -> async::Task<bool> {
    const async::SteadyTime end = async::After(absl::Seconds(60));
    const auto news = co_await t.Wait(end);
    co_return news.empty() && async::SteadyNow() < end;
  }(*ticket));
  stop = true;
  writer.join();
  EXPECT_TRUE(in_time);
}

}  // namespace
}  // namespace flotilla::order
