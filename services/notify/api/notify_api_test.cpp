// Two instances over one database, as clients see them.
#include "notify/api/notify_api.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "notify/store/listener.h"
#include "notify/store/migrations.h"
#include "postgres/test_database.h"
#include "rpc/test_user.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

using rpc::As;

struct Instance {
  explicit Instance(const postgres::Options& options, NotifyApi::Options api_options = {})
      : inbox(options),
        stores(options),
        listener(
            options, [this](const auto& told) { hub.Tell(told); }, [this] { hub.WakeAll(); }, origin),
        api(server, inbox, stores, hub, api_options) {
    server.AddInterceptor(std::make_shared<rpc::TestUser>());
    EXPECT_TRUE(server.Start().ok());
    stub = v1::NotifyService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server.port()), grpc::InsecureChannelCredentials()));
  }
  ~Instance() { server.Shutdown(absl::Seconds(5)); }

  Inbox inbox;
  StoreCalls stores;
  Hub hub;
  Origin origin;
  Listener listener;
  rpc::Server server{{}};
  NotifyApi api;
  std::unique_ptr<v1::NotifyService::Stub> stub;
};

class NotifyApiTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }

  // Adds `count` notifications to a user's list, and returns them.
  std::vector<Notification> Tell(const std::string& user, int count, const std::string& order = "7") {
    Batch batch;
    for (int i = 0; i < count; ++i) {
      batch.notifications.push_back({.user_id = user,
                                     .event_id = absl::StrCat("e/", ++events_),
                                     .type = "order.paid",
                                     .order_id = "00000000-0000-7000-8000-000000000001",
                                     .values = {{"order", order}},
                                     .occurred_at = absl::FromUnixMicros(events_)});
    }
    absl::StatusOr<Applied> applied = store_.Apply(batch);
    EXPECT_TRUE(applied.ok()) << applied.status();
    return std::move(applied->stored);
  }

  postgres::TestDatabase database_;
  NotificationStore store_{database_.options()};
  std::int64_t events_ = 0;
};

TEST_F(NotifyApiTest, PagesFollowEachOtherWithoutGap) {
  const Instance instance(database_.options());
  Tell("anna", 7);
  Tell("bert", 1);
  v1::ListNotificationsRequest request;
  request.set_page_size(3);
  std::vector<std::int64_t> seen;
  int pages = 0;
  do {
    v1::ListNotificationsResponse response;
    const auto status = instance.stub->ListNotifications(As("anna").get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const auto& n : response.notifications()) seen.push_back(n.sequence());
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(pages, 3);
  v1::ListNotificationsResponse response;
  EXPECT_EQ(instance.stub->ListNotifications(As("").get(), {}, &response).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(NotifyApiTest, ASubscriberSeesThePastAndThenEveryNewOne) {
  Tell("anna", 250);
  const Instance one(database_.options()), two(database_.options());
  auto context = As("anna");
  v1::SubscribeRequest request;
  request.set_after_sequence(2);
  auto stream = one.stub->Subscribe(context.get(), request);
  auto context_two = As("anna");
  auto stream_two = two.stub->Subscribe(context_two.get(), {});
  v1::SubscribeResponse response;
  for (std::int64_t i = 3; i <= 250; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.notification().sequence(), i);
  }
  for (int i = 1; i <= 250; ++i) ASSERT_TRUE(stream_two->Read(&response));
  for (std::int64_t i = 251; i <= 270; ++i) {
    Tell("bert", 1);
    Tell("anna", 1);
    for (auto* s : {stream.get(), stream_two.get()}) {
      ASSERT_TRUE(s->Read(&response));
      EXPECT_EQ(response.notification().sequence(), i);
    }
  }
  context->TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(NotifyApiTest, ASubscriberGoesOnWhereItStoppedOnAnotherInstance) {
  auto one = std::make_unique<Instance>(database_.options());
  Tell("anna", 3);
  v1::SubscribeRequest request;
  v1::SubscribeResponse response;
  {
    auto context = As("anna");
    auto stream = one->stub->Subscribe(context.get(), request);
    for (int i = 1; i <= 2; ++i) ASSERT_TRUE(stream->Read(&response));
    request.set_after_sequence(response.notification().sequence());
    context->TryCancel();
  }
  one.reset();
  Tell("anna", 2);
  const Instance two(database_.options());
  auto context = As("anna");
  auto stream = two.stub->Subscribe(context.get(), request);
  for (std::int64_t i = 3; i <= 5; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.notification().sequence(), i);
  }
}

// Some are stored by this process and come with the news, others by another instance; each is told of by the database.
TEST_F(NotifyApiTest, WhoeverStoresThemTheyComeOnceAndInOrder) {
  Instance instance(database_.options());
  auto context = As("anna");
  auto stream = instance.stub->Subscribe(context.get(), {});
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) {
      std::vector<Notification> stored = Tell("anna", 1 + i % 3);
      if (i % 7 != 0) instance.hub.Deliver(std::move(stored));
    }
  });
  v1::SubscribeResponse response;
  for (std::int64_t i = 1; i <= 600; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.notification().sequence(), i);
    EXPECT_EQ(response.notification().text(), "Your order 7 is paid.");
    EXPECT_EQ(response.notification().order_id(), "00000000-0000-7000-8000-000000000001");
  }
  writer.join();
}

TEST_F(NotifyApiTest, AnIdleStreamHasHeartbeatsThatTellWhereToGoOn) {
  const Instance instance(database_.options(), {.limits = {}, .heartbeat = absl::Milliseconds(50)});
  MailboxStore mailboxes(database_.options());
  ASSERT_TRUE(mailboxes.WritePreferences("anna", {.language = "", .muted = {{"order.paid", kStream}}}).ok());
  Tell("anna", 4);  // none of them for the stream
  auto context = As("anna");
  auto stream = instance.stub->Subscribe(context.get(), {});
  v1::SubscribeResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_TRUE(response.has_heartbeat()) << response.DebugString();
    EXPECT_EQ(response.heartbeat().sequence(), 4);
  }
}

TEST_F(NotifyApiTest, TooManyStreamsAreRefusedUntilOneEnds) {
  const Instance instance(database_.options(), {.limits = {.all = 3, .a_user = 2}});
  Tell("anna", 1);
  Tell("bert", 1);
  Tell("carl", 1);
  const auto open = [&](grpc::ClientContext* context) {
    auto stream = instance.stub->Subscribe(context, {});
    v1::SubscribeResponse response;
    return stream->Read(&response) ? grpc::Status::OK : stream->Finish();
  };
  auto one = As("anna"), two = As("anna"), three = As("anna"), four = As("bert"), five = As("carl");
  EXPECT_TRUE(open(one.get()).ok());
  EXPECT_TRUE(open(two.get()).ok());
  EXPECT_EQ(open(three.get()).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << "of one user";
  EXPECT_TRUE(open(four.get()).ok());
  EXPECT_EQ(open(five.get()).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << "of all";
  one->TryCancel();
  grpc::Status status;
  for (const absl::Time end = absl::Now() + absl::Seconds(15); absl::Now() < end;) {
    auto again = As("carl");
    status = open(again.get());
    if (status.ok()) break;
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(NotifyApiTest, ASlowReaderHurtsNobody) {
  constexpr std::int64_t kAll = 3000;
  const Instance instance(database_.options());
  const auto& taken = telemetry::Counter("flotilla_notify_streamed_total", "Notifications that streams have taken");
  const double before = taken.Value();
  auto slow_context = As("anna"), fast_context = As("anna");
  // It reads nothing, and its side takes next to nothing.
  grpc::ChannelArguments small;
  small.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1024);
  small.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto slow_stub = v1::NotifyService::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("127.0.0.1:", instance.server.port()), grpc::InsecureChannelCredentials(), small));
  auto slow = slow_stub->Subscribe(slow_context.get(), {});
  auto fast = instance.stub->Subscribe(fast_context.get(), {});
  v1::SubscribeResponse response;
  const std::string long_name(1000, 'x');
  for (std::int64_t i = 1; i <= kAll; ++i) {
    if (i % 100 == 1) Tell("anna", 100, long_name);
    ASSERT_TRUE(fast->Read(&response));
    ASSERT_EQ(response.notification().sequence(), i);
  }
  // The window is full: the server waits for the slow one, and has long been done with the other.
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_GE(taken.Value() - before, kAll);
  EXPECT_LT(taken.Value() - before, kAll + kAll / 2) << "the slow reader is not slow";
  // Late, but complete.
  for (std::int64_t i = 1; i <= kAll; ++i) {
    ASSERT_TRUE(slow->Read(&response));
    ASSERT_EQ(response.notification().sequence(), i);
  }
}

TEST_F(NotifyApiTest, TheMailboxIsMarkedFilteredAndMutedByItsOwner) {
  const Instance instance(database_.options());
  Tell("anna", 3);
  v1::MarkReadRequest mark;
  v1::MarkReadResponse marked;
  EXPECT_EQ(instance.stub->MarkRead(As("anna").get(), mark, &marked).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  mark.set_through_sequence(2);
  ASSERT_TRUE(instance.stub->MarkRead(As("anna").get(), mark, &marked).ok());
  EXPECT_EQ(marked.mailbox().unread_count(), 1);
  EXPECT_EQ(marked.mailbox().last_sequence(), 3);

  v1::SetPreferencesRequest wishes;
  wishes.mutable_preferences()->set_language("de");
  auto* muted = wishes.mutable_preferences()->add_muted_types();
  muted->set_type("order.reserved");
  muted->add_channels(v1::CHANNEL_MAILBOX);
  v1::SetPreferencesResponse wished;
  ASSERT_TRUE(instance.stub->SetPreferences(As("anna").get(), wishes, &wished).ok());
  v1::GetPreferencesResponse preferences;
  ASSERT_TRUE(instance.stub->GetPreferences(As("anna").get(), {}, &preferences).ok());
  EXPECT_EQ(preferences.preferences().DebugString(), wishes.preferences().DebugString());
  Tell("anna", 1);

  v1::ListNotificationsRequest list;
  list.set_unread_only(true);
  v1::ListNotificationsResponse listed;
  ASSERT_TRUE(instance.stub->ListNotifications(As("anna").get(), list, &listed).ok());
  ASSERT_EQ(listed.notifications_size(), 2);
  EXPECT_EQ(listed.notifications(0).sequence(), 3);
  EXPECT_EQ(listed.notifications(1).text(), "Ihre Bestellung 7 ist bezahlt.");
  v1::GetMailboxResponse mailbox;
  ASSERT_TRUE(instance.stub->GetMailbox(As("bert").get(), {}, &mailbox).ok());
  EXPECT_EQ(mailbox.mailbox().unread_count(), 0);
}

TEST_F(NotifyApiTest, AStoppingServerEndsItsStreams) {
  auto instance = std::make_unique<Instance>(database_.options());
  auto context = As("anna");
  const auto stub = std::move(instance->stub);
  auto stream = stub->Subscribe(context.get(), {});
  Tell("anna", 1);
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  instance.reset();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace flotilla::notify
