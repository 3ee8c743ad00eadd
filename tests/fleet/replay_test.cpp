// Operators have logs published again, on a whole fleet: nothing changes where nothing was lost, and what was lost is
// handled after all.
#include "absl/strings/str_cat.h"
#include "events/nats_client.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "flotilla/event/v1/event_admin_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using Admin = event::v1::EventAdminService;

constexpr int kBuyers = 6;
constexpr const char* kStreams[] = {"FLOTILLA_ORDER", "FLOTILLA_PAYMENT", "FLOTILLA_INVENTORY"};

class Replay : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* service : {"inventory", "payment", "order"}) {
      for (int i = 0; i < 2; ++i) fleet_.WaitServing(fleet_.Start(service));
    }
    for (int i = 0; i < 2; ++i) fleet_.WaitServing(fleet_.Start("notify"));
    Load::Prepare(fleet_, kBuyers);
  }

  events::JetStream JetStreamOf(const events::NatsConnection& connection) {
    auto js = events::OpenJetStream(connection.get());
    EXPECT_TRUE(js.ok()) << js.status();
    return *std::move(js);
  }
  events::NatsConnection Connect() {
    auto connection = events::ConnectNats({.url = absl::StrCat("nats://127.0.0.1:", fleet_.port("nats"))}, "test");
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  // Until handlers have taken and acknowledged all that there is.
  bool Drained() {
    const auto connection = Connect();
    const auto js = JetStreamOf(connection);
    return Eventually(
        [&] {
          for (const auto& [stream, consumer] : {std::pair(kStreams[0], "notify"), std::pair(kStreams[1], "notify"),
                                                 std::pair(kStreams[1], "order"), std::pair(kStreams[2], "notify")}) {
            jsConsumerInfo* info = nullptr;
            if (js_GetConsumerInfo(&info, js.get(), stream, consumer, nullptr, nullptr) != NATS_OK) return false;
            const bool done = info->NumPending == 0 && info->NumAckPending == 0;
            jsConsumerInfo_Destroy(info);
            if (!done) return false;
          }
          return true;
        },
        absl::Seconds(60));
  }
  // Replays a service's whole log, page by page; how many events.
  std::int64_t ReplayAll(const std::string& instance) {
    const auto stub = Admin::NewStub(fleet_.channel(instance));
    event::v1::ReplayEventsRequest request;
    request.mutable_from_time()->set_seconds(1);
    request.set_max_events(500);
    request.set_note("all of it");
    std::int64_t published = 0;
    do {
      event::v1::ReplayEventsResponse response;
      const Result result = Call(*stub, &Admin::Stub::ReplayEvents, "olga", request, &response, 30000);
      EXPECT_TRUE(result.status.ok()) << result;
      if (!result.status.ok()) break;
      published += response.published();
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return published;
  }
  std::int64_t Events(const std::string& service) { return fleet_.Query(service, "SELECT count(*) FROM event"); }
  // Everything that events have changed, as one text.
  std::string Effects() const {
    std::string effects;
    for (const char* sql :
         {"SELECT hashtextextended(string_agg(n::text, '|' ORDER BY user_id, sequence), 0) FROM notification n",
          "SELECT hashtextextended(string_agg(m::text, '|' ORDER BY user_id), 0) FROM mailbox m",
          "SELECT count(*) FROM handled_event", "SELECT count(*) FROM dead_letter"}) {
      absl::StrAppend(&effects, fleet_.Query("notify", sql), " ");
    }
    absl::StrAppend(&effects, fleet_.Query("order",
                                           "SELECT hashtextextended(string_agg(o::text, '|' ORDER BY order_id), 0) "
                                           "FROM orders o"));
    return effects;
  }
  void BuyFor(int orders) {
    Load load(fleet_, {"order-1", "order-2"}, kBuyers);
    ASSERT_TRUE(load.Progresses(orders));
  }

  Fleet fleet_;
};

TEST_F(Replay, OfEverythingChangesNothing) {
  BuyFor(300);
  ASSERT_EQ(fleet_.Check(), "");
  ASSERT_TRUE(Drained());
  const std::string before = Effects();
  EXPECT_EQ(ReplayAll("order-2"), Events("order"));
  EXPECT_EQ(ReplayAll("payment-1"), Events("payment"));
  EXPECT_EQ(ReplayAll("inventory-1"), Events("inventory"));
  ASSERT_TRUE(Drained());
  EXPECT_EQ(Effects(), before);
  EXPECT_GT(fleet_.Query("order", "SELECT sum(published) FROM event_replay WHERE operator = 'olga'"), 600);
  EXPECT_EQ(fleet_.Check(), "");
}

// While orders go on, and those who handle and relay are killed.
TEST_F(Replay, UnderLoadAndKillsEveryEffectHappensOnce) {
  Load load(fleet_, {"order-1", "order-2"}, kBuyers);
  ASSERT_TRUE(load.Progresses(200));
  for (int round = 0; round < 3; ++round) {
    ReplayAll("order-1");
    fleet_.KillAndRestart("notify-1");
    ReplayAll("payment-2");
    fleet_.KillAndRestart("order-2");
    fleet_.WaitServing("order-2");
    fleet_.WaitServing("notify-1");
    ASSERT_TRUE(load.Progresses(50));
  }
  load.Stop();
  EXPECT_EQ(fleet_.Check(), "");
}

// The stream was emptied by hand while nobody was handling: the relay cannot know, so an operator helps.
TEST_F(Replay, WhatWasPurgedFromTheStreamIsHandledAfterAll) {
  for (const char* notify : {"notify-1", "notify-2"}) fleet_.Kill(notify);
  BuyFor(100);
  ASSERT_TRUE(fleet_.WaitForQuery("order", "SELECT count(*) FROM saga", 0, 60));
  ASSERT_TRUE(
      fleet_.WaitForQuery("order", "SELECT (published = (SELECT count(*) FROM event))::int FROM relay_cursor", 1, 60));
  const auto connection = Connect();
  ASSERT_EQ(js_PurgeStream(JetStreamOf(connection).get(), kStreams[0], nullptr, nullptr), NATS_OK);
  for (const char* notify : {"notify-1", "notify-2"}) fleet_.Restart(notify);
  for (const char* notify : {"notify-1", "notify-2"}) fleet_.WaitServing(notify);
  ASSERT_TRUE(Drained());
  EXPECT_LT(fleet_.Query("notify", "SELECT count(*) FROM handled_event"), Events("order"));
  EXPECT_GE(ReplayAll("order-1"), Events("order"));
  EXPECT_TRUE(fleet_.WaitForQuery("notify", "SELECT count(*) FROM handled_event WHERE event_id NOT LIKE '%:%'",
                                  Events("order"), 30));
  EXPECT_EQ(fleet_.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
