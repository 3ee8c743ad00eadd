#include "events/replay.h"

#include "events/events_fixture.h"

namespace flotilla::events {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class ReplayTest : public EventsTest {
 protected:
  ReplayTest()
      : replayer_({.postgres = database.options(), .nats = nats, .stream = stream, .subject = subject}),
        relay_(relay_options()) {}

  static ReplayRequest Everything() {
    return {.user = "olga",
            .note = "test",
            .stream_id = "",
            .from = absl::UnixEpoch(),
            .to = absl::Now(),
            .after = "",
            .limit = 100'000};
  }
  bool Published(int count) {
    return Eventually([&] { return database.Query("SELECT published FROM relay_cursor") == std::to_string(count); });
  }
  void Purge() {
    auto connection = ConnectNats(nats, "test");
    ASSERT_TRUE(connection.ok());
    const auto js = OpenJetStream(connection->get());
    ASSERT_TRUE(js.ok());
    ASSERT_EQ(js_PurgeStream(js->get(), stream.c_str(), nullptr, nullptr), NATS_OK);
  }

  Replayer replayer_;
  Relay relay_;
};

// JetStream has dropped them for their age: only the log has them.
TEST_F(ReplayTest, ANewHandlerStartsFromTheBeginning) {
  for (int i = 0; i < 15; ++i) ASSERT_EQ(AppendTo("a", i * 100 + 1, i * 100 + 100), absl::OkStatus());
  ASSERT_TRUE(Published(1500));
  Purge();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  const auto replay = replayer_.Run(Everything());
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_EQ(replay->published, 1500);
  EXPECT_EQ(replay->next, "");
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 1500; })) << received.distinct();
  std::int64_t last = 0;
  for (const Event& event : received.all()) ASSERT_EQ(event.sequence, ++last);
  EXPECT_EQ(received.all()[0].data, MakeEvent("a", 1).data);
}

// Within the time in which JetStream drops repeats, and with the relay going on.
TEST_F(ReplayTest, WhatWasPublishedAMomentAgoGoesOutAgain) {
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ASSERT_EQ(AppendTo("a", 1, 20), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 20; }));
  ASSERT_TRUE(replayer_.Run(Everything()).ok());
  ASSERT_TRUE(replayer_.Run(Everything()).ok());
  ASSERT_TRUE(Eventually([&] { return received.all().size() == 60; })) << received.all().size();
  ASSERT_EQ(AppendTo("a", 21, 21), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 21; }));
  EXPECT_EQ(received.all().size(), 61u);
}

TEST_F(ReplayTest, ALimitIsKeptAndTheNextGoesOnThere) {
  ASSERT_EQ(AppendTo("a", 1, 1000), absl::OkStatus());
  ASSERT_TRUE(Published(1000));
  Purge();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ReplayRequest request = Everything();
  request.limit = 600;
  const auto first = replayer_.Run(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->published, 600);
  request.after = first->next;
  const auto second = replayer_.Run(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->published, 400);
  EXPECT_EQ(second->next, "");
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 1000; }));
  EXPECT_EQ(received.all().size(), 1000u);
  request.after = "nonsense";
  EXPECT_EQ(replayer_.Run(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReplayTest, ByTimeAndByStream) {
  for (const char* id : {"a", "b", "c"}) ASSERT_EQ(AppendTo(id, 1, 10), absl::OkStatus());
  database.Query("UPDATE event SET appended_at = now() - interval '5 hours' WHERE stream_id = 'a'");
  database.Query("UPDATE event SET appended_at = now() - interval '3 hours' WHERE stream_id = 'b'");
  ASSERT_TRUE(Published(30));
  Purge();
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  ReplayRequest request = Everything();
  request.from = absl::Now() - absl::Hours(4);
  request.to = absl::Now() - absl::Hours(2);
  const auto by_time = replayer_.Run(request);
  ASSERT_TRUE(by_time.ok()) << by_time.status();
  EXPECT_EQ(by_time->published, 10);
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 10; }));
  EXPECT_EQ(received.all()[0].stream_id, "b");

  request = Everything();
  request.stream_id = "c";
  request.limit = 4;
  const auto by_stream = replayer_.Run(request);
  ASSERT_TRUE(by_stream.ok()) << by_stream.status();
  EXPECT_EQ(by_stream->published, 4);
  request.after = by_stream->next;
  request.limit = 100;
  const auto rest = replayer_.Run(request);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(rest->published, 6);
  EXPECT_EQ(rest->next, "");
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 20; }));
}

TEST_F(ReplayTest, EveryActIsRecordedAlsoOneThatIsCutShort) {
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  ASSERT_TRUE(Published(10));
  ASSERT_TRUE(replayer_.Run(Everything()).ok());
  Replayer cut(
      {.postgres = database.options(), .nats = {.url = "nats://127.0.0.1:1"}, .stream = stream, .subject = subject});
  ReplayRequest request = Everything();
  request.user = "otto";
  request.note = "without NATS";
  EXPECT_EQ(cut.Run(request).status().code(), absl::StatusCode::kUnavailable);
  const auto records = replayer_.List(0, 10);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_THAT(*records, SizeIs(2));
  EXPECT_EQ((*records)[0].user, "otto");
  EXPECT_EQ((*records)[0].note, "without NATS");
  EXPECT_EQ((*records)[0].published, 0);
  EXPECT_EQ((*records)[1].user, "olga");
  EXPECT_EQ((*records)[1].published, 10);
  EXPECT_NE((*records)[1].ended_at, absl::InfiniteFuture());
  const auto older = replayer_.List((*records)[0].replay_id, 10);
  ASSERT_TRUE(older.ok());
  EXPECT_THAT(*older, SizeIs(1));
}

}  // namespace
}  // namespace flotilla::events
