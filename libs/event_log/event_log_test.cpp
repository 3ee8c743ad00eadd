#include "event_log/event_log.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "postgres/test_database.h"
#include "rpc/test_user.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::event_log {
namespace {

using rpc::As;

// The service as its operators see it, over a real relay.
class EventLogTest : public testing::Test {
 protected:
  EventLogTest() : service_(absl::StrCat("test", absl::ToUnixMicros(absl::Now()))) {}
  void SetUp() override {
    ASSERT_EQ(Migrate(database_.options(), events::LogMigrations()), absl::OkStatus());
    log_ = std::make_unique<EventAdminApi>(
        server_,
        events::Replayer::Options{
            .postgres = database_.options(), .nats = {.url = TestNats()}, .stream = service_, .subject = service_});
    server_.AddInterceptor(std::make_shared<rpc::TestUser>());
    ASSERT_TRUE(server_.Start().ok());
    stub_ = v1::EventAdminService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_.port()), grpc::InsecureChannelCredentials()));
  }
  void TearDown() override { server_.Shutdown(absl::Seconds(5)); }

  // The log with ten events, and the stream they go to.
  std::unique_ptr<events::Relay> Filled() {
    postgres::Session session(database_.options());
    EXPECT_TRUE(session
                    .Transact([](postgres::Transaction& transaction) {
                      std::vector<events::Event> all;
                      for (int i = 1; i <= 10; ++i) {
                        all.push_back({.stream_id = "a",
                                       .sequence = i,
                                       .type = "t",
                                       .data = "d",
                                       .traceparent = "",
                                       .occurred_at = absl::Now()});
                      }
                      events::Append(transaction, all);
                      return absl::OkStatus();
                    })
                    .ok());
    auto relay = std::make_unique<events::Relay>(events::Relay::RelayOptions{.postgres = database_.options(),
                                                                             .nats = {.url = TestNats()},
                                                                             .stream = service_,
                                                                             .subject = service_,
                                                                             .retention = absl::Minutes(2)});
    EXPECT_TRUE(Eventually([&] { return database_.Query("SELECT published FROM relay_cursor") == "10"; }));
    return relay;
  }
  static v1::ReplayEventsRequest Everything() {
    v1::ReplayEventsRequest request;
    request.mutable_from_time()->set_seconds(1);
    request.set_note("lost on the way");
    return request;
  }
  grpc::Status Replay(const std::string& user, const v1::ReplayEventsRequest& request) {
    return stub_->ReplayEvents(As(user).get(), request, &replayed_);
  }
  // What is wrong with a request, by the words for the operator.
  std::string Fault(const v1::ReplayEventsRequest& request) {
    const grpc::Status status = Replay("olga", request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message().substr(0, status.error_message().find(':'));
  }

  const std::string service_;
  postgres::TestDatabase database_;
  rpc::Server server_{{}};
  std::unique_ptr<EventAdminApi> log_;
  std::unique_ptr<v1::EventAdminService::Stub> stub_;
  v1::ReplayEventsResponse replayed_;
};

TEST_F(EventLogTest, AnOperatorHasAName) {
  EXPECT_EQ(Replay("", Everything()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(database_.Query("SELECT count(*) FROM event_replay"), "0");
}

TEST_F(EventLogTest, AReplayIsBoundedCountedAndRecorded) {
  const auto relay = Filled();
  v1::ReplayEventsRequest request = Everything();
  request.set_max_events(6);
  ASSERT_TRUE(Replay("olga", request).ok());
  EXPECT_EQ(replayed_.published(), 6);
  request.set_page_token(replayed_.next_page_token());
  ASSERT_TRUE(Replay("olga", request).ok());
  EXPECT_EQ(replayed_.published(), 4);
  EXPECT_EQ(replayed_.next_page_token(), "");
  request = {};
  request.set_stream_id("a");
  request.set_note("one stream");
  ASSERT_TRUE(Replay("olga", request).ok());
  EXPECT_EQ(replayed_.published(), 10);

  v1::ListReplaysRequest page;
  page.set_page_size(2);
  v1::ListReplaysResponse list;
  ASSERT_TRUE(stub_->ListReplays(As("olga").get(), page, &list).ok());
  ASSERT_EQ(list.replays_size(), 2);
  EXPECT_EQ(list.replays(0).replay_id(), replayed_.replay_id());
  EXPECT_EQ(list.replays(0).operator_(), "olga");
  EXPECT_EQ(list.replays(0).note(), "one stream");
  EXPECT_EQ(list.replays(0).stream_id(), "a");
  EXPECT_EQ(list.replays(0).published(), 10);
  EXPECT_TRUE(list.replays(0).has_end_time());
  page.set_page_token(list.next_page_token());
  ASSERT_TRUE(stub_->ListReplays(As("olga").get(), page, &list).ok());
  ASSERT_EQ(list.replays_size(), 1);
  EXPECT_EQ(list.replays(0).published(), 6);
  EXPECT_EQ(list.next_page_token(), "");
}

TEST_F(EventLogTest, BadInputNamesItsField) {
  v1::ReplayEventsRequest request = Everything();
  request.clear_note();
  EXPECT_EQ(Fault(request), "note");
  request.set_note(std::string("a\0b", 3));
  EXPECT_EQ(Fault(request), "note");
  request = Everything();
  request.clear_from_time();
  EXPECT_EQ(Fault(request), "from_time");
  request.mutable_from_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) + 1000);
  EXPECT_EQ(Fault(request), "from_time");
  request.mutable_from_time()->set_seconds(-1);
  EXPECT_EQ(Fault(request), "from_time");
  request = Everything();
  request.mutable_to_time()->set_nanos(-1);
  EXPECT_EQ(Fault(request), "to_time");
  request = Everything();
  request.set_max_events(100'001);
  EXPECT_EQ(Fault(request), "max_events");
  request.set_max_events(-1);
  EXPECT_EQ(Fault(request), "max_events");
  request = Everything();
  for (const char* token : {"x", "1", "1.", ".1", "-1.1", "1.1.1", "99999999999999999999.1"}) {
    request.set_page_token(token);
    EXPECT_EQ(Fault(request), "page_token") << token;
  }
  request = Everything();
  request.set_stream_id(std::string(201, 'a'));
  EXPECT_EQ(Fault(request), "stream_id");
  v1::ListReplaysRequest page;
  page.set_page_token("x");
  v1::ListReplaysResponse list;
  EXPECT_EQ(stub_->ListReplays(As("olga").get(), page, &list).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(database_.Query("SELECT count(*) FROM event_replay"), "0");
}

}  // namespace
}  // namespace flotilla::event_log
