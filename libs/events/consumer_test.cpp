#include <map>
#include <mutex>

#include "events/events_fixture.h"

namespace flotilla::events {
namespace {

using ConsumerTest = EventsTest;

TEST_F(ConsumerTest, WhatAHandlerRefusesComesAgain) {
  Received received;
  received.Refuse(3);
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 20), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 20; })) << received.distinct();
}

TEST_F(ConsumerTest, PoisonIsBuriedAfterBoundedTriesAndHoldsNothingUp) {
  Received received;
  std::mutex mutex;
  std::map<std::string, int> tries, burials;
  Consumer::ConsumerOptions options = consumer_options();
  options.max_tries = 3;
  Consumer consumer(
      options,
      [&](std::span<const Event> events) -> absl::Status {
        for (const Event& event : events) {
          if (event.sequence % 10 != 7) continue;
          if (events.size() == 1) {
            std::lock_guard lock(mutex);
            ++tries[event.id()];
          }
          return absl::InternalError("poison");
        }
        return received.Apply(events);
      },
      [&](const Event& event, const absl::Status& reason) {
        std::lock_guard lock(mutex);
        EXPECT_EQ(reason.message(), "poison");
        if (++burials[event.id()] == 1) return absl::UnavailableError("the graveyard is closed");
        return absl::OkStatus();
      });
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 20), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 18; })) << received.distinct();
  ASSERT_TRUE(Eventually([&] {
    std::lock_guard lock(mutex);
    return burials == std::map<std::string, int>{{"a/7", 2}, {"a/17", 2}};
  }));
  absl::SleepFor(absl::Milliseconds(300));
  std::lock_guard lock(mutex);
  EXPECT_EQ(tries, (std::map<std::string, int>{{"a/7", 4}, {"a/17", 4}}));
  EXPECT_EQ(received.all().size(), 18u);
}

TEST_F(ConsumerTest, ADurableConsumerGoesOnWhereItStopped) {
  Received received;
  Relay relay(relay_options());
  {
    Consumer consumer(consumer_options(), Into(received));
    ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
    ASSERT_TRUE(Eventually([&] { return received.distinct() == 10; }));
  }
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_EQ(AppendTo("a", 11, 12), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 12; }));
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_EQ(received.all().size(), 12u);
}

}  // namespace
}  // namespace flotilla::events
