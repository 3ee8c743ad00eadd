#include "notify/workflow/dispatcher.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "notify/store/endpoint_store.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "notify/webhook/signature.h"
#include "notify/webhook/test_receiver.h"
#include "postgres/test_clock.h"
#include "postgres/test_database.h"
#include "testing/eventually.h"

namespace flotilla::notify {
namespace {

class DispatcherTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }
  Dispatcher::Options options(int attempts = 16) const {
    return {.postgres = database_.options(),
            .retry = {.first = absl::Milliseconds(20), .attempts = attempts},
            .http = {.timeout = absl::Seconds(5), .allow_private = true},
            .poll = absl::Milliseconds(20)};
  }
  void AddEndpoint(const std::string& user, const std::string& url) {
    ASSERT_TRUE(EndpointStore(database_.options())
                    .Add({.endpoint_id = absl::StrCat("00000000-0000-4000-8000-00000000000", ++count_),
                          .user_id = user,
                          .url = url,
                          .secret = "secret",
                          .event_types = {},
                          .disabled_reason = "",
                          .created_at = absl::Now()})
                    .ok());
  }
  void Tell(const std::string& user, int count) {
    Batch batch;
    for (int i = 0; i < count; ++i) {
      batch.notifications.push_back({.user_id = user,
                                     .event_id = absl::StrCat("e/", ++events_),
                                     .type = "order.paid",
                                     .values = {{"order", "7"}},
                                     .occurred_at = absl::UnixEpoch()});
    }
    ASSERT_TRUE(NotificationStore(database_.options()).Apply(batch).ok());
  }
  std::int64_t InState(const std::string& state) {
    return std::stoll(database_.Query("SELECT count(*) FROM delivery WHERE state = " + state));
  }

  postgres::TestDatabase database_;
  int count_ = 0, events_ = 0;
};

TEST_F(DispatcherTest, BothSecretsSignWhileOneIsRotated) {
  TestReceiver receiver(TestReceiver::Always(200));
  AddEndpoint("anna", receiver.url());
  database_.Query("UPDATE endpoint SET previous_secret = 'former', previous_until = now() + interval '1 hour'");
  Dispatcher dispatcher(options());
  Tell("anna", 1);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return InState("2") == 1; }));
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 1u);
  const auto& request = requests[0];
  const std::int64_t timestamp = std::stoll(request.Header("webhook-timestamp"));
  EXPECT_EQ(request.Header("webhook-signature"),
            Sign("secret", "e/1", timestamp, request.body) + " " + Sign("former", "e/1", timestamp, request.body));
}

TEST_F(DispatcherTest, WhatIsSentIsSignedAndSaysWhatHappened) {
  TestReceiver receiver(TestReceiver::Always(200));
  AddEndpoint("anna", receiver.url());
  Dispatcher dispatcher(options());
  Tell("anna", 1);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return InState("2") == 1; }));
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 1u);
  const auto& request = requests[0];
  EXPECT_EQ(request.Header("webhook-id"), "e/1");
  const std::int64_t timestamp = std::stoll(request.Header("webhook-timestamp"));
  EXPECT_NEAR(static_cast<double>(timestamp), static_cast<double>(absl::ToUnixSeconds(absl::Now())), 60);
  EXPECT_EQ(request.Header("webhook-signature"), Sign("secret", "e/1", timestamp, request.body));
  v1::Notification body;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(request.body, &body).ok()) << request.body;
  EXPECT_EQ(body.type(), "order.paid");
  EXPECT_EQ(body.sequence(), 1);
  EXPECT_EQ(body.text(), "Your order 7 is paid.");
}

// A receiver refuses what is minutes off, so a wrong clock of the machine must not stop all webhooks.
TEST_F(DispatcherTest, TheTimestampIsTheDatabases) {
  postgres::TestClock server(database_);
  server.Set(absl::Minutes(10));
  TestReceiver receiver(TestReceiver::Always(200));
  AddEndpoint("anna", receiver.url());
  Dispatcher::Options elsewhere = options();
  elsewhere.postgres = server.options();
  Dispatcher dispatcher(elsewhere);
  Tell("anna", 1);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return InState("2") == 1; }));
  const auto timestamp = std::stoll(receiver.requests().at(0).Header("webhook-timestamp"));
  EXPECT_GT(absl::FromUnixSeconds(timestamp), absl::Now() + absl::Minutes(9));
}

TEST_F(DispatcherTest, BadReceiversDelayNobody) {
  TestReceiver good(TestReceiver::Always(200)), hanging(TestReceiver::Hang()), dripping(TestReceiver::Drip()),
      failing(TestReceiver::Always(500)), closing([](const auto&) { return std::string(); }),
      redirecting(
          [&good](const auto&) { return TestReceiver::Answer(307, "location: " + good.url("/stolen") + "\r\n"); });
  const std::vector<TestReceiver*> bad = {&hanging, &dripping, &failing, &closing, &redirecting};
  for (TestReceiver* receiver : bad) AddEndpoint("bert", receiver->url());
  AddEndpoint("anna", good.url());
  Dispatcher::Options patient = options();
  patient.http.timeout = absl::Seconds(60);  // a request that hangs makes room for no other
  Dispatcher dispatcher(patient);
  Tell("bert", 30);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return hanging.requests().size() >= 4; }));
  Tell("anna", 30);
  dispatcher.Wake();
  std::set<std::string> seen;
  ASSERT_TRUE(Eventually([&] {
    for (const auto& request : good.requests()) seen.insert(request.Header("webhook-id"));
    return seen.size() == 30;
  })) << seen.size();
  EXPECT_EQ(hanging.requests().size(), 4u) << "no more than its share, and the good one did not wait for it";
  for (const auto& request : good.requests()) EXPECT_EQ(request.head.find("/stolen"), std::string::npos);
}

TEST_F(DispatcherTest, ManyThatHangLeaveTheOthersRoom) {
  TestReceiver good(TestReceiver::Always(200)), hanging(TestReceiver::Hang());
  for (int i = 0; i < 7; ++i) AddEndpoint("bert", hanging.url("/" + std::to_string(i)));
  AddEndpoint("anna", good.url());
  Dispatcher::Options few = options();
  few.per_endpoint = 1;
  few.in_flight = 4;
  few.http.timeout = absl::Milliseconds(500);
  Dispatcher dispatcher(few);
  Tell("bert", 30);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return hanging.requests().size() >= 8; }));
  Tell("anna", 1);
  dispatcher.Wake();
  ASSERT_TRUE(Eventually([&] { return !good.requests().empty(); }));
  EXPECT_LT(hanging.requests().size(), 60u) << "their backlog, all of it due earlier, has 210";
}

TEST_F(DispatcherTest, AFailingReceiverIsTriedAgainUntilItWorks) {
  TestReceiver receiver(TestReceiver::Always(503));
  AddEndpoint("anna", receiver.url());
  Dispatcher dispatcher(options());
  Tell("anna", 2);
  ASSERT_TRUE(Eventually([&] { return receiver.requests().size() >= 6; }));
  receiver.Become(TestReceiver::Always(200));
  ASSERT_TRUE(Eventually([&] { return InState("2") == 2; }));
  std::set<std::string> ids;
  for (const auto& request : receiver.requests()) ids.insert(request.Header("webhook-id"));
  EXPECT_EQ(ids, (std::set<std::string>{"e/1", "e/2"})) << "repeats are known by their id";
}

TEST_F(DispatcherTest, WhatAnInstanceLeftIsSentByAnother) {
  TestReceiver receiver(TestReceiver::Hang());
  AddEndpoint("anna", receiver.url());
  Dispatcher::Options dying = options();
  dying.lease = absl::Milliseconds(200);
  {
    Dispatcher dispatcher(dying);
    Tell("anna", 3);
    ASSERT_TRUE(Eventually([&] { return receiver.requests().size() >= 3; }));
  }
  receiver.Become(TestReceiver::Always(200));
  Dispatcher dispatcher(options());
  EXPECT_TRUE(Eventually([&] { return InState("2") == 3; })) << InState("2");
}

}  // namespace
}  // namespace flotilla::notify
