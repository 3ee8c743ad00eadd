#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "events/log.h"
#include "events/nats_client.h"
#include "postgres/test_database.h"
#include "testing/environment.h"
#include "testing/eventually.h"
#include "testing/process.h"

namespace flotilla::events {
namespace {

using testing::ElementsAre;

// As recent as events are, and as exact.
const absl::Time kStart = absl::FromUnixMicros(absl::ToUnixMicros(absl::Now()));

Event MakeEvent(const std::string& stream, std::int64_t sequence) {
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

class NatsServer {
 public:
  NatsServer() : dir_(std::filesystem::temp_directory_path() / ("nats_test_" + port_)) { Start(); }
  ~NatsServer() {
    Kill();
    Wipe();
  }
  void Start() {
    process_.emplace(
        std::vector<std::string>{"nats-server", "-a", "127.0.0.1", "-p", port_, "-js", "-sd", dir_.string()},
        "/dev/null");
  }
  void Kill() { process_.reset(); }
  void Wipe() { std::filesystem::remove_all(dir_); }
  NatsOptions options() const { return {.url = "nats://127.0.0.1:" + port_}; }

 private:
  const std::string port_ = std::to_string(FreePort());
  const std::filesystem::path dir_;
  std::optional<Process> process_;
};

class EventsTest : public testing::Test {
 protected:
  EventsTest() : session(database.options()) {
    nats.url = TestNats();
    const std::vector<postgres::Migration> migrations = LogMigrations();
    EXPECT_EQ(Migrate(database.options(), migrations, absl::ZeroDuration()), absl::OkStatus());
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

TEST_F(EventsTest, ArriveAsTheyWereAppended) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 3), absl::OkStatus());
  relay.Wake();
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 3; }));
  const std::vector<Event> all = received.all();
  EXPECT_THAT(received.ids(), ElementsAre("a/1", "a/2", "a/3"));
  for (std::int64_t i = 1; i <= 3; ++i) {
    const Event expected = MakeEvent("a", i);
    const Event& event = all[static_cast<std::size_t>(i - 1)];
    EXPECT_EQ(event.type, expected.type);
    EXPECT_EQ(event.data, expected.data);
    EXPECT_EQ(event.traceparent, expected.traceparent);
    EXPECT_EQ(event.occurred_at, expected.occurred_at);
  }
  EXPECT_TRUE(Eventually([&] { return relay.lag() == 0; }));
}

TEST_F(EventsTest, ASequenceThatExistsIsRefused) {
  ASSERT_EQ(AppendTo("a", 1, 1), absl::OkStatus());
  EXPECT_EQ(AppendTo("a", 1, 1).code(), absl::StatusCode::kInternal);
}

TEST_F(EventsTest, ALateCommitIsNotOvertakenAndHoldsNothingUp) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  postgres::Session early_session(database.options());
  const std::vector<Event> early = {MakeEvent("early", 1)};
  ASSERT_EQ(early_session.Transact([&](postgres::Transaction& transaction) {
    Append(transaction, early);  // the lower position and xid
    EXPECT_EQ(AppendTo("late", 1, 2), absl::OkStatus());
    relay.Wake();
    EXPECT_TRUE(Eventually([&] { return received.distinct() == 2; }));
    EXPECT_EQ(AppendTo("late", 3, 3), absl::OkStatus());
    return absl::OkStatus();
  }),
            absl::OkStatus());
  relay.Wake();
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 4; }));
  EXPECT_EQ(received.all().size(), 4u);
}

TEST_F(EventsTest, ManyWritersLoseNothingAndKeepEachStreamsOrder) {
  constexpr int kWriters = 6;
  constexpr int kTransactions = 150;
  constexpr int kStreams = 40;
  ASSERT_EQ(database.Query("CREATE TABLE head (id int PRIMARY KEY, n bigint NOT NULL)"), "");
  database.Query("INSERT INTO head SELECT i, 0 FROM generate_series(0, 39) i");
  constexpr postgres::Statement kNext{"next", "UPDATE head SET n = n + 1 WHERE id = $1 RETURNING n"};
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      postgres::Session writer(database.options());
      std::srand(static_cast<unsigned>(w));
      for (int i = 0; i < kTransactions; ++i) {
        // Two streams a transaction, so that one that began earlier may write later.
        const int a = (w * 7 + i * 13) % kStreams;
        const int b = (a + 1 + i % 5) % kStreams;
        EXPECT_EQ(writer.Transact([&](postgres::Transaction& transaction) {
          for (int id : {a, b}) {
            const auto n = transaction.Run(kNext, id)[0][0].as<std::int64_t>();
            Append(transaction, std::vector<Event>{MakeEvent(std::to_string(id), n)});
          }
          return i % 10 == 9 ? absl::AbortedError("rolled back") : absl::OkStatus();
        }),
                  i % 10 == 9 ? absl::AbortedError("rolled back") : absl::OkStatus());
        relay.Wake();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::size_t expected = kWriters * (kTransactions - kTransactions / 10) * 2;
  ASSERT_TRUE(Eventually([&] { return received.distinct() == expected; })) << received.distinct();
  std::map<std::string, std::int64_t> last;
  for (const Event& event : received.all()) {
    ASSERT_EQ(event.sequence, last[event.stream_id] + 1) << event.stream_id;
    last[event.stream_id] = event.sequence;
  }
  EXPECT_EQ(received.all().size(), expected);  // and nothing twice
}

TEST_F(EventsTest, ABacklogIsDrainedOnceAndInOrder) {
  constexpr std::int64_t kBacklog = 10'000;
  for (std::int64_t i = 0; i < kBacklog; i += 1000) ASSERT_EQ(AppendTo("a", i + 1, i + 1000), absl::OkStatus());
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  const absl::Time start = absl::Now();
  std::optional<Relay> relay(relay_options());
  ASSERT_TRUE(Eventually([&] { return received.distinct() >= 3000; }));
  relay.emplace(relay_options());  // goes on where the other stopped
  ASSERT_EQ(AppendTo("a", kBacklog + 1, kBacklog + 1), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == kBacklog + 1; })) << received.distinct();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  RecordProperty("events_per_second", static_cast<int>(kBacklog / seconds));
  std::int64_t last = 0;
  for (const Event& event : received.all()) ASSERT_EQ(event.sequence, ++last);
  EXPECT_TRUE(Eventually([&] { return relay->lag() == 0; }));
  relay.reset();
  EXPECT_EQ(database.Query("SELECT published FROM relay_cursor"), std::to_string(kBacklog + 1));
  EXPECT_EQ(database.Query("SELECT count(*) FROM relay_cursor WHERE draining IS NULL"), "1");
}

TEST_F(EventsTest, OneOfTwoRelaysIsActiveAndTheOtherTakesOver) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  std::optional<Relay> first(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 1), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 1; }));
  Relay second(relay_options());
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(database.Query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
                           " (SELECT oid FROM pg_database WHERE datname = current_database())"),
            "1");
  first.reset();
  const absl::Time start = absl::Now();
  ASSERT_EQ(AppendTo("a", 2, 2), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 2; }));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  // The same when only the connection dies: the lock goes with it.
  database.Query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'relay %'"
      " AND datname = current_database()");
  ASSERT_EQ(AppendTo("a", 3, 3), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 3; }));
  EXPECT_THAT(received.ids(), ElementsAre("a/1", "a/2", "a/3"));
}

TEST_F(EventsTest, WhatAHandlerRefusesComesAgain) {
  Received received;
  received.Refuse(3);
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 20), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 20; })) << received.distinct();
}

TEST_F(EventsTest, PoisonIsBuriedAfterBoundedTriesAndHoldsNothingUp) {
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

TEST_F(EventsTest, ADurableConsumerGoesOnWhereItStopped) {
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

TEST_F(EventsTest, WithNatsAwayNothingIsLost) {
  NatsServer server;
  nats = server.options();
  server.Kill();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("a", 1, 100), absl::OkStatus());
  EXPECT_TRUE(Eventually([&] { return relay.lag() == 100; })) << relay.lag();
  server.Start();
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 100; })) << received.distinct();

  // Killed under load.
  std::thread writer([&] {
    for (std::int64_t i = 101; i <= 1100; i += 10) {
      EXPECT_EQ(AppendTo("a", i, i + 9), absl::OkStatus());
      relay.Wake();
      absl::SleepFor(absl::Milliseconds(5));
    }
  });
  absl::SleepFor(absl::Milliseconds(150));
  server.Kill();
  absl::SleepFor(absl::Milliseconds(500));
  server.Start();
  writer.join();
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 1100; }, absl::Seconds(30))) << received.distinct();

  // Its data gone: stream and consumer are made anew.
  server.Kill();
  server.Wipe();
  server.Start();
  ASSERT_EQ(AppendTo("a", 1101, 1110), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 1110; }, absl::Seconds(30))) << received.distinct();
}

// Acknowledged by NATS, but not yet handled when NATS loses it.
TEST_F(EventsTest, WhatNatsLostBeforeItWasHandledIsPublishedAgain) {
  NatsServer server;
  nats = server.options();
  Relay relay(relay_options());
  for (std::int64_t i = 0; i < 5; ++i) ASSERT_EQ(AppendTo("a", i * 100 + 1, i * 100 + 100), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "500"; }));
  server.Kill();
  server.Wipe();
  server.Start();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  // Nothing new is written, so only the relay itself can notice.
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 500; }, absl::Seconds(30))) << received.distinct();
  ASSERT_EQ(AppendTo("a", 501, 510), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 510; }, absl::Seconds(30))) << received.distinct();
}

// While it writes, and more than once: each loss is noticed by whoever relays then.
TEST_F(EventsTest, NatsThatForgetsUnderLoadLosesNothing) {
  NatsServer server;
  nats = server.options();
  std::optional<Relay> relay(relay_options());
  std::thread writer([&] {
    for (std::int64_t i = 1; i <= 3000; i += 10) {
      EXPECT_EQ(AppendTo("a", i, i + 9), absl::OkStatus());
      absl::SleepFor(absl::Milliseconds(10));
    }
  });
  for (int round = 0; round < 3; ++round) {
    absl::SleepFor(absl::Milliseconds(600));
    server.Kill();
    server.Wipe();
    server.Start();
    if (round == 1) relay.emplace(relay_options());
  }
  writer.join();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 3000; }, absl::Seconds(30))) << received.distinct();
}

// The name is the same and it has more messages than before, but it is not the stream that took the events.
TEST_F(EventsTest, AStreamMadeBySomebodyElseIsFilledAgain) {
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  std::optional<Relay> relay(relay_options());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "10"; }));
  relay.reset();
  auto connection = ConnectNats(nats, "test");
  ASSERT_TRUE(connection.ok()) << connection.status();
  const auto js = OpenJetStream(connection->get());
  ASSERT_TRUE(js.ok()) << js.status();
  ASSERT_EQ(js_DeleteStream(js->get(), stream.c_str(), nullptr, nullptr), NATS_OK);
  ASSERT_EQ(EnsureStream(js->get(), stream, subject, absl::Hours(1)), absl::OkStatus());
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(js_Publish(nullptr, js->get(), subject.c_str(), "x", 1, nullptr, nullptr), NATS_OK);
  }
  relay.emplace(relay_options());
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 11; }))
      << received.distinct();  // and the strangers, as one
  // It is as somebody else configured it.
  jsStreamInfo* info = nullptr;
  ASSERT_EQ(js_GetStreamInfo(&info, js->get(), stream.c_str(), nullptr, nullptr), NATS_OK);
  EXPECT_EQ(info->Config->MaxAge, absl::ToInt64Nanoseconds(absl::Hours(1)));
  jsStreamInfo_Destroy(info);
}

// The retention bounds what is repeated, never what was not published at all.
TEST_F(EventsTest, OldEventsAreNotRepeatedButNoneIsSkipped) {
  NatsServer server;
  nats = server.options();
  Event old = MakeEvent("old", 1);
  old.occurred_at = absl::Now() - absl::Hours(24 * 365);
  const auto append_old = [&] {
    return session.Transact([&](postgres::Transaction& transaction) {
      Append(transaction, std::span(&old, 1));
      return absl::OkStatus();
    });
  };
  Relay relay(relay_options());
  ASSERT_EQ(append_old(), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "1"; }));
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "11"; }));
  server.Kill();
  server.Wipe();
  old.sequence = 2;
  ASSERT_EQ(append_old(), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return relay.lag() > 0; }));
  server.Start();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 11; }, absl::Seconds(30))) << received.distinct();
  ASSERT_TRUE(Eventually([&] { return relay.lag() == 0; }));
  EXPECT_THAT(received.ids(), testing::Not(testing::Contains("old/1")));
  EXPECT_THAT(received.ids(), testing::Contains("old/2"));
}

TEST_F(EventsTest, LatencyIsAFewMilliseconds) {
  std::mutex mutex;
  std::vector<absl::Duration> latencies;
  Consumer consumer(consumer_options(), [&](std::span<const Event> events) {
    std::lock_guard lock(mutex);
    for (const Event& event : events) latencies.push_back(absl::Now() - event.occurred_at);
    return absl::OkStatus();
  });
  Relay relay(relay_options());
  ASSERT_EQ(AppendTo("warm", 1, 1), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] {
    std::lock_guard lock(mutex);
    return latencies.size() == 1;
  }));
  latencies.clear();
  constexpr std::size_t kEvents = 100;
  for (std::size_t i = 0; i < kEvents; ++i) {
    Event event = MakeEvent("a", static_cast<std::int64_t>(i + 1));
    event.occurred_at = absl::Now();
    ASSERT_EQ(session.Transact([&](postgres::Transaction& transaction) {
      Append(transaction, std::span(&event, 1));
      return absl::OkStatus();
    }),
              absl::OkStatus());
    relay.Wake();
    absl::SleepFor(absl::Milliseconds(7));
  }
  ASSERT_TRUE(Eventually([&] {
    std::lock_guard lock(mutex);
    return latencies.size() == kEvents;
  }));
  std::ranges::sort(latencies);
  RecordProperty("median_us", static_cast<int>(absl::ToInt64Microseconds(latencies[kEvents / 2])));
  std::printf("append to apply: median %s, p90 %s\n", absl::FormatDuration(latencies[kEvents / 2]).c_str(),
              absl::FormatDuration(latencies[kEvents * 9 / 10]).c_str());
  EXPECT_LT(latencies[kEvents / 2], absl::Milliseconds(20));
}

}  // namespace
}  // namespace flotilla::events
