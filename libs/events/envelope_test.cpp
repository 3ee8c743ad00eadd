#include "events/envelope.h"

#include "events/events_fixture.h"

namespace flotilla::events {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

std::vector<Row> Rows(std::int64_t count, std::size_t bytes = 10) {
  std::vector<Row> rows;
  for (std::int64_t i = 1; i <= count; ++i) {
    rows.push_back({.place = {}, .event = MakeEvent("s", i)});
    rows.back().event.data.resize(bytes);
  }
  return rows;
}

NatsMessage ToNats(const Message& message) {
  EXPECT_EQ(nats_Open(-1), NATS_OK);  // as the first connection does
  natsMsg* raw = nullptr;
  EXPECT_EQ(natsMsg_Create(&raw, "s", nullptr, message.data.data(), static_cast<int>(message.data.size())), NATS_OK);
  for (const auto& [name, value] : message.headers) EXPECT_EQ(natsMsgHeader_Set(raw, name, value.c_str()), NATS_OK);
  return NatsMessage(raw);
}

std::vector<std::string> Ids(const std::vector<Message>& messages) {
  std::vector<std::string> ids;
  for (const Message& message : messages) ids.push_back(message.id);
  return ids;
}

TEST(Envelope, WhatGoesInComesOutInOrder) {
  for (const std::int64_t count : {1, 2, 64, 65, 200}) {
    const std::vector<Row> rows = Rows(count);
    std::vector<Event> events;
    for (const Message& message : Packer("", "p/").Pack(rows)) Unpack(ToNats(message).get(), events);
    ASSERT_THAT(events, SizeIs(rows.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Event& expected = rows[i].event;
      EXPECT_EQ(events[i].id(), expected.id());
      EXPECT_EQ(events[i].type, expected.type);
      EXPECT_EQ(events[i].data, expected.data);
      EXPECT_EQ(events[i].traceparent, expected.traceparent);
      EXPECT_EQ(events[i].occurred_at, expected.occurred_at);
    }
  }
}

// An id that serves twice has the second message dropped by JetStream.
TEST(Envelope, BatchesHaveIdsOfTheirOwnAndLoneEventsTheirs) {
  Packer packer("", "p/");
  EXPECT_THAT(Ids(packer.Pack(Rows(65))), ElementsAre("p/1", "s/65"));
  EXPECT_THAT(Ids(packer.Pack(Rows(3))), ElementsAre("p/2"));
  EXPECT_THAT(Ids(Packer("replay/7/", "replay/7/").Pack(Rows(1))), ElementsAre("replay/7/s/1"));
}

TEST(Envelope, AMessageStaysBelowWhatNatsTakes) {
  const std::vector<Message> messages = Packer("", "p/").Pack(Rows(20, 100'000));
  EXPECT_THAT(messages, SizeIs(10));
  EXPECT_THAT(Packer("", "p/").Pack(Rows(3, 600'000)), SizeIs(3));
}

TEST(Envelope, WhatCannotBeReadIsOneEventWithoutAnId) {
  Message broken = Packer("", "p/").Pack(Rows(3)).front();
  broken.data.resize(broken.data.size() / 2);
  Message short_one = Packer("", "p/").Pack(Rows(3)).front();
  short_one.headers = {{"Flotilla-Events", "4"}};
  for (const Message& message : {broken, short_one, Message{.id = "", .data = "strange", .headers = {}}}) {
    std::vector<Event> events;
    Unpack(ToNats(message).get(), events);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].stream_id, "");
    EXPECT_EQ(events[0].data, message.data);
  }
}

}  // namespace
}  // namespace flotilla::events
