#include <map>
#include <optional>
#include <thread>

#include "events/events_fixture.h"

namespace flotilla::events {
namespace {

using testing::ElementsAre;

using RelayTest = EventsTest;

TEST_F(RelayTest, ArriveAsTheyWereAppended) {
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

TEST_F(RelayTest, ASequenceThatExistsIsRefused) {
  ASSERT_EQ(AppendTo("a", 1, 1), absl::OkStatus());
  EXPECT_EQ(AppendTo("a", 1, 1).code(), absl::StatusCode::kInternal);
}

TEST_F(RelayTest, ALateCommitIsNotOvertakenAndHoldsNothingUp) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  postgres::Session early_session(database.options());
  const std::vector<Event> early = {MakeEvent("early", 1)};
  ASSERT_EQ(early_session.Transact([&](postgres::Transaction& transaction) {
    Append(transaction, early);  // the lower position and xid
    constexpr postgres::Statement kNumber{"number", "SELECT pg_current_xact_id()"};
    transaction.Run(kNumber);  // sends the append
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

TEST_F(RelayTest, ManyWritersLoseNothingAndKeepEachStreamsOrder) {
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

TEST_F(RelayTest, ABacklogIsDrainedOnceAndInOrder) {
  constexpr std::int64_t kBacklog = 10'000;
  for (std::int64_t i = 0; i < kBacklog; i += 1000) ASSERT_EQ(AppendTo("a", i + 1, i + 1000), absl::OkStatus());
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  std::optional<Relay> relay(relay_options());
  ASSERT_TRUE(Eventually([&] { return received.distinct() >= 3000; }));
  relay.emplace(relay_options());  // goes on where the other stopped
  ASSERT_EQ(AppendTo("a", kBacklog + 1, kBacklog + 1), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == kBacklog + 1; })) << received.distinct();
  std::int64_t last = 0;
  for (const Event& event : received.all()) ASSERT_EQ(event.sequence, ++last);
  EXPECT_TRUE(Eventually([&] { return relay->lag() == 0; }));
  relay.reset();
  EXPECT_EQ(database.Query("SELECT published FROM relay_cursor"), std::to_string(kBacklog + 1));
  EXPECT_EQ(database.Query("SELECT count(*) FROM relay_cursor WHERE draining IS NULL"), "1");
}

TEST_F(RelayTest, OneOfTwoRelaysIsActiveAndTheOtherTakesOver) {
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
  ASSERT_EQ(AppendTo("a", 2, 2), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 2; }));
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "2"; }));
  // The same when only the connection dies: the lock goes with it.
  database.Query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'relay %'"
      " AND datname = current_database()");
  ASSERT_EQ(AppendTo("a", 3, 3), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 3; }));
  EXPECT_THAT(received.ids(), ElementsAre("a/1", "a/2", "a/3"));
}

TEST_F(RelayTest, ALeaderThatDoesNotReachNatsGivesWay) {
  Relay::RelayOptions cut_off = relay_options();
  cut_off.nats.url = "nats://127.0.0.1:1";
  Relay first(cut_off);
  ASSERT_TRUE(Eventually([&] {
    return database.Query(
               "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks USING (pid) WHERE locktype ="
               " 'advisory' AND granted AND application_name LIKE 'relay %'"
               " AND datname = current_database()") == "1";
  }));
  ASSERT_EQ(AppendTo("a", 1, 1), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return first.lag() == 1; }));
  Relay second(relay_options());
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  EXPECT_TRUE(Eventually([&] { return received.distinct() == 1; }, absl::Seconds(30)));
  EXPECT_TRUE(Eventually([&] { return first.lag() == 0; })) << "what it no longer knows it does not tell";
}

}  // namespace
}  // namespace flotilla::events
