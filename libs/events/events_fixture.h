// What the tests of this room share: a database with the log, a JetStream stream of one's own, a handler that
// remembers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "events/log.h"
#include "events/nats_client.h"
#include "postgres/test_database.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::events {

// As recent as events are, and as exact.
inline const absl::Time kStart = absl::FromUnixMicros(absl::ToUnixMicros(absl::Now()));

inline Event MakeEvent(const std::string& stream, std::int64_t sequence) {
  return {.stream_id = stream,
          .sequence = sequence,
          .type = "test.happened",
          .data = std::string("\0\x01\xff\"\\", 5) + std::to_string(sequence),
          .traceparent = sequence % 2 == 0 ? "" : "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          .occurred_at = kStart + absl::Microseconds(sequence)};
}

// What a handler sees, in order.
class Received {
 public:
  absl::Status Apply(std::span<const Event> events) {
    std::lock_guard lock(mutex_);
    if (refuse_ > 0) {
      --refuse_;
      return absl::UnavailableError("not now");
    }
    all_.insert(all_.end(), events.begin(), events.end());
    for (const Event& event : events) ids_.insert(event.id());
    return absl::OkStatus();
  }
  void Refuse(int times) {
    std::lock_guard lock(mutex_);
    refuse_ = times;
  }
  std::vector<Event> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }
  std::vector<std::string> ids() {
    std::vector<std::string> result;
    for (const Event& event : all()) result.push_back(event.id());
    return result;
  }
  std::size_t distinct() {
    std::lock_guard lock(mutex_);
    return ids_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<Event> all_;
  std::set<std::string> ids_;
  int refuse_ = 0;
};

class EventsTest : public testing::Test {
 protected:
  EventsTest() : session(database.options()) {
    nats.url = TestNats();
    EXPECT_EQ(Migrate(database.options(), LogMigrations(), absl::ZeroDuration()), absl::OkStatus());
    stream = "TEST_" + database.name() + "_" + std::to_string(absl::ToUnixMicros(absl::Now()));
    subject = "test." + stream;
  }

  void TearDown() override {
    if (auto connection = ConnectNats(nats, "test"); connection.ok()) {
      if (auto js = OpenJetStream(connection->get()); js.ok())
        js_DeleteStream(js->get(), stream.c_str(), nullptr, nullptr);
    }
  }

  Relay::RelayOptions relay_options() const {
    return {.postgres = database.options(), .nats = nats, .stream = stream, .subject = subject};
  }
  Consumer::ConsumerOptions consumer_options() const {
    return {.nats = nats, .stream = stream, .subject = subject, .durable = "handler"};
  }
  auto Into(Received& received) const {
    return [&received](std::span<const Event> events) { return received.Apply(events); };
  }

  absl::Status AppendTo(const std::string& id, std::int64_t first, std::int64_t last) {
    std::vector<Event> events;
    for (std::int64_t i = first; i <= last; ++i) events.push_back(MakeEvent(id, i));
    return session.Transact([&](postgres::Transaction& transaction) {
      Append(transaction, events);
      return absl::OkStatus();
    });
  }

  postgres::TestDatabase database;
  postgres::Session session;
  NatsOptions nats;
  std::string stream, subject;
};

}  // namespace flotilla::events
