#include "events/durable.h"

#include "absl/strings/str_cat.h"
#include "events/events_fixture.h"

namespace flotilla::events {
namespace {

class DurableTest : public EventsTest {
 protected:
  DurableTest() : connection(*ConnectNats(nats, "test")), js(*OpenJetStream(connection.get())) {
    EXPECT_EQ(EnsureStream(js.get(), stream, subject, absl::Hours(1)), absl::OkStatus());
  }
  static bool Deaf(natsConnection*, const std::string&, const std::string&) { return false; }
  Durable handler() const { return {stream, subject, name, 100}; }
  bool Exists() {
    jsConsumerInfo* info = nullptr;
    const natsStatus status = js_GetConsumerInfo(&info, js.get(), stream.c_str(), name.c_str(), nullptr, nullptr);
    jsConsumerInfo_Destroy(info);
    return status == NATS_OK;
  }

  const std::string name = "handler";
  NatsConnection connection;
  JetStream js;
};

TEST_F(DurableTest, OneThatAnswersIsTold) {
  ASSERT_EQ(EnsureDurable(connection.get(), js.get(), handler()), absl::OkStatus());
  EXPECT_TRUE(Answers(connection.get(), stream, name));

  // It is there, and says nothing.
  natsSubscription* silent = nullptr;
  const std::string next = absl::StrCat("$JS.API.CONSUMER.MSG.NEXT.", stream, ".silent");
  ASSERT_EQ(natsConnection_SubscribeSync(&silent, connection.get(), next.c_str()), NATS_OK);
  const NatsSubscription held(silent);
  EXPECT_FALSE(Answers(connection.get(), stream, "silent"));
}

TEST_F(DurableTest, OneThatIsDeafFromItsBirthIsMadeAnew) {
  EXPECT_TRUE(absl::IsUnavailable(EnsureDurable(connection.get(), js.get(), handler(), Deaf)));
  EXPECT_FALSE(Exists());
  EXPECT_EQ(EnsureDurable(connection.get(), js.get(), handler()), absl::OkStatus());
  EXPECT_TRUE(Exists());
}

// However slow it may be: what it gave out and what is done would be forgotten.
TEST_F(DurableTest, OneThatWasHeardOfIsNeverDeleted) {
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  const Relay relay(relay_options());
  Received received;
  {
    const Consumer consumer(consumer_options(), Into(received));
    ASSERT_TRUE(Eventually([&] { return received.distinct() == 10; }));
  }
  const auto ensured = [&] {
    return EnsureDurable(connection.get(), js.get(), {stream, subject, name, 4096}, Deaf).ok();
  };
  EXPECT_TRUE(Eventually(ensured));
  Received later;
  const Consumer consumer(consumer_options(), Into(later));
  ASSERT_EQ(AppendTo("a", 11, 20), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return later.distinct() == 10; }));
  EXPECT_EQ(later.ids().front(), "a/11");
}

}  // namespace
}  // namespace flotilla::events
