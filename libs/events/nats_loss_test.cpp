#include <filesystem>
#include <optional>
#include <thread>

#include "events/events_fixture.h"
#include "testing/process.h"

namespace flotilla::events {
namespace {

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

using NatsLossTest = EventsTest;

TEST_F(NatsLossTest, WithNatsAwayNothingIsLost) {
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
TEST_F(NatsLossTest, WhatNatsLostBeforeItWasHandledIsPublishedAgain) {
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
TEST_F(NatsLossTest, NatsThatForgetsUnderLoadLosesNothing) {
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
TEST_F(NatsLossTest, AStreamMadeBySomebodyElseIsFilledAgain) {
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
  // Its retention is made ours.
  jsStreamInfo* info = nullptr;
  ASSERT_EQ(js_GetStreamInfo(&info, js->get(), stream.c_str(), nullptr, nullptr), NATS_OK);
  EXPECT_EQ(info->Config->MaxAge, absl::ToInt64Nanoseconds(relay_options().retention));
  jsStreamInfo_Destroy(info);
}

// A server that crashed may come back without a stream's last messages and with the consumer's place behind them: what
// gets their numbers next would never be delivered.
TEST_F(NatsLossTest, WhatIsNumberedAnewReachesConsumersThatWereFurther) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  std::optional<Relay> relay(relay_options());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 10; })) << received.distinct();
  relay.reset();
  // As the cursor finds it then: it has seen more messages than there are.
  database.Query("UPDATE relay_cursor SET stream_sequence = stream_sequence + 100");
  ASSERT_EQ(AppendTo("a", 11, 20), absl::OkStatus());
  const auto created = [&]() -> std::int64_t {
    auto connection = ConnectNats(nats, "test");
    if (!connection.ok()) return 0;
    const auto js = OpenJetStream(connection->get());
    jsStreamInfo* info = nullptr;
    if (!js.ok() || js_GetStreamInfo(&info, js->get(), stream.c_str(), nullptr, nullptr) != NATS_OK) return 0;
    const std::int64_t at = info->Created;
    jsStreamInfo_Destroy(info);
    return at;
  };
  const std::int64_t before = created();
  relay.emplace(relay_options());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 20; }, absl::Seconds(30))) << received.distinct();
  EXPECT_NE(created(), before) << "another stream, and consumers at its beginning";
}

// The retention bounds what is repeated, never what was not published at all.
TEST_F(NatsLossTest, OldEventsAreNotRepeatedButNoneIsSkipped) {
  NatsServer server;
  nats = server.options();
  Event old = MakeEvent("old", 1);
  old.occurred_at = absl::Now() - absl::Hours(24 * 365);
  const auto append_old = [&]() -> absl::Status {
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      Append(transaction, std::span(&old, 1));
      return absl::OkStatus();
    });
    database.Query("UPDATE event SET appended_at = occurred_at WHERE stream_id = 'old'");
    return status;
  };
  Relay relay(relay_options());
  ASSERT_EQ(append_old(), absl::OkStatus());
  old.sequence = 2;
  ASSERT_EQ(append_old(), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "2"; }));
  // The relay bisects the log by numbers of transactions, and old/3 behind the others would mislead it: the others are
  // to be in the upper half, whatever else runs on the server.
  database.Query("DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == "12"; }));
  server.Kill();
  server.Wipe();
  old.sequence = 3;
  ASSERT_EQ(append_old(), absl::OkStatus());
  const auto xid = [&](const std::string& where) {
    return std::stoll(database.Query("SELECT max(xid::text::bigint) FROM event WHERE " + where));
  };
  const auto others = xid("stream_id = 'a'");
  ASSERT_LT(xid("stream_id = 'old'") - others, others - xid("stream_id = 'old' AND sequence = 2"));
  ASSERT_TRUE(Eventually([&] { return relay.lag() > 0; }));
  server.Start();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 12; }, absl::Seconds(30))) << received.distinct();
  ASSERT_TRUE(Eventually([&] { return relay.lag() == 0; }));
  EXPECT_THAT(received.ids(), testing::Not(testing::Contains("old/1")));
  EXPECT_THAT(received.ids(), testing::Contains("old/3"));
}

}  // namespace
}  // namespace flotilla::events
