#include "notify/store/delivery_store.h"

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "notify/store/endpoint_store.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class DeliveryStoreTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok()); }

  std::string AddEndpoint(const std::string& user, std::vector<std::string> types = {}) {
    const std::string id = absl::StrCat("00000000-0000-4000-8000-00000000000", ++count_);
    EXPECT_TRUE(endpoints_
                    .Add({.endpoint_id = id,
                          .user_id = user,
                          .url = "https://example.com/" + id,
                          .secret = std::string("\0secret\xff", 8),
                          .event_types = std::move(types),
                          .disabled_reason = "",
                          .created_at = absl::Now()})
                    .ok());
    return id;
  }
  void Tell(const std::string& user, const std::string& type, int count = 1) {
    Batch batch;
    for (int i = 0; i < count; ++i) {
      batch.notifications.push_back({.user_id = user,
                                     .event_id = absl::StrCat("e/", ++events_),
                                     .type = type,
                                     .values = {{"order", "7"}},
                                     .occurred_at = absl::UnixEpoch()});
    }
    const auto applied = NotificationStore(database_.options()).Apply(batch);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  std::vector<Attempt> Claim(absl::Duration lease = absl::Seconds(60), int per_endpoint = 4) {
    auto attempts = store_.Claim(64, per_endpoint, {}, lease);
    EXPECT_TRUE(attempts.ok()) << attempts.status();
    return attempts.ok() ? *std::move(attempts) : std::vector<Attempt>();
  }

  postgres::TestDatabase database_;
  EndpointStore endpoints_{database_.options()};
  DeliveryStore store_{database_.options(), {.first = absl::Milliseconds(1), .attempts = 2}};
  int count_ = 0, events_ = 0;
};

TEST_F(DeliveryStoreTest, EndpointsGetWhatTheyAskedForFromThenOn) {
  Tell("anna", "order.paid");  // before there is an endpoint
  AddEndpoint("anna");
  AddEndpoint("anna", {"order.paid"});
  AddEndpoint("bert");
  Tell("anna", "order.reserved");
  Tell("anna", "order.paid");
  const auto attempts = Claim();
  EXPECT_THAT(attempts, SizeIs(3));
  for (const Attempt& attempt : attempts) {
    EXPECT_EQ(attempt.number, 1);
    EXPECT_EQ(attempt.endpoint.user_id, "anna");
    EXPECT_EQ(attempt.endpoint.secret, std::string("\0secret\xff", 8));
    EXPECT_THAT(attempt.notification.text, testing::StartsWith("Your order 7 is "));
  }
  EXPECT_THAT(Claim(), IsEmpty()) << "they are leased";
}

TEST_F(DeliveryStoreTest, TwoSecretsLiveWhileOneIsRotated) {
  const std::string id = AddEndpoint("anna");
  const std::string first("\0secret\xff", 8);
  const auto secrets = [&] {
    Tell("anna", "order.paid");
    const auto attempts = Claim();
    EXPECT_THAT(attempts, SizeIs(1));
    return attempts.empty() ? std::make_pair(std::string(), std::string())
                            : std::make_pair(attempts[0].endpoint.secret, attempts[0].endpoint.previous_secret);
  };
  EXPECT_EQ(secrets(), std::make_pair(first, std::string()));
  EXPECT_FALSE(*endpoints_.Rotate("bert", id, "stolen", absl::Hours(1)));
  ASSERT_TRUE(*endpoints_.Rotate("anna", id, "second", absl::Hours(1)));
  EXPECT_EQ(secrets(), std::make_pair(std::string("second"), first));
  ASSERT_TRUE(*endpoints_.Rotate("anna", id, "third", absl::Hours(1)));
  EXPECT_EQ(secrets(), std::make_pair(std::string("third"), std::string("second")));
  database_.Query("UPDATE endpoint SET previous_until = now()");
  EXPECT_EQ(secrets(), std::make_pair(std::string("third"), std::string()));
}

TEST_F(DeliveryStoreTest, NoEndpointTakesMoreThanItsShareAndLeasesEnd) {
  AddEndpoint("anna");
  AddEndpoint("bert");
  Tell("anna", "order.paid", 10);
  Tell("bert", "order.paid", 1);
  const auto first = Claim(absl::Milliseconds(1), 3);
  EXPECT_THAT(first, SizeIs(4));
  absl::SleepFor(absl::Milliseconds(5));
  const auto second = Claim(absl::Seconds(60), 100);
  EXPECT_THAT(second, SizeIs(11));
  // The first claimer comes back from the dead: its word is only logged.
  ASSERT_TRUE(store_.Finish(first[0], {.http_status = 200, .error = "", .duration = absl::Milliseconds(5)}).ok());
  EXPECT_EQ(database_.Query("SELECT count(*) FROM delivery WHERE state = 2"), "0");
  EXPECT_EQ(database_.Query("SELECT count(*) FROM delivery_attempt WHERE http_status = 200"), "1");
}

TEST_F(DeliveryStoreTest, InstancesShareTheWorkWithoutOverlap) {
  for (int i = 0; i < 8; ++i) {
    AddEndpoint(absl::StrCat("user-", i));
    Tell(absl::StrCat("user-", i), "order.paid", 20);
  }
  std::mutex mutex;
  std::multiset<std::int64_t> claimed;
  std::vector<std::thread> instances;
  for (int i = 0; i < 4; ++i) {
    instances.emplace_back([&] {
      DeliveryStore store(database_.options(), {});
      for (int round = 0; round < 40; ++round) {
        const auto attempts = store.Claim(2, 4, {}, absl::Seconds(60));
        ASSERT_TRUE(attempts.ok()) << attempts.status();
        std::lock_guard lock(mutex);
        for (const Attempt& attempt : *attempts) claimed.insert(attempt.delivery_id);
      }
    });
  }
  for (auto& instance : instances) instance.join();
  EXPECT_EQ(claimed.size(), 160u);
  EXPECT_EQ(std::set<std::int64_t>(claimed.begin(), claimed.end()).size(), 160u);
}

TEST_F(DeliveryStoreTest, LastingFailureDisablesWithOneNoticeUntilItIsEnabled) {
  const std::string id = AddEndpoint("anna");
  Tell("anna", "order.paid", 2);
  const Outcome bad{.http_status = 500, .error = "", .duration = absl::ZeroDuration()};
  for (const Attempt& attempt : Claim()) ASSERT_TRUE(store_.Finish(attempt, bad).ok());
  absl::SleepFor(absl::Milliseconds(5));
  const auto last = Claim();
  ASSERT_THAT(last, SizeIs(2));
  for (const Attempt& attempt : last) ASSERT_TRUE(store_.Finish(attempt, bad).ok());
  auto listed = endpoints_.List("anna");
  ASSERT_TRUE(listed.ok() && listed->size() == 1) << listed.status();
  EXPECT_FALSE(listed->front().enabled);
  EXPECT_EQ(listed->front().disabled_reason, "it answered 500");
  EXPECT_EQ(database_.Query("SELECT count(*) FROM notification WHERE type = 'webhook.disabled'"), "1");

  Tell("anna", "order.paid");  // not sent to a disabled one
  EXPECT_THAT(Claim(), IsEmpty());
  auto log = endpoints_.Log({.user_id = "anna", .endpoint_id = id, .limit = 10});
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_THAT(*log, SizeIs(2));
  EXPECT_EQ(log->front().state, DeliveryState::kFailed);
  EXPECT_EQ(log->front().attempts, 2);
  EXPECT_EQ(log->front().last.http_status, 500);

  EXPECT_TRUE(*endpoints_.Redeliver("anna", log->front().delivery_id));
  EXPECT_FALSE(*endpoints_.Redeliver("bert", log->front().delivery_id)) << "not his";
  EXPECT_THAT(Claim(), IsEmpty());
  EXPECT_TRUE(*endpoints_.Enable("anna", id));
  EXPECT_FALSE(*endpoints_.Enable("bert", id));
  const auto again = Claim();
  ASSERT_THAT(again, SizeIs(1));
  ASSERT_TRUE(store_.Finish(again[0], {.http_status = 204, .error = "", .duration = absl::ZeroDuration()}).ok());
  log = endpoints_.Log({.user_id = "anna", .endpoint_id = id, .limit = 10, .state = 2});
  ASSERT_THAT(*log, SizeIs(1));
  EXPECT_EQ(log->front().last.error, "");
  EXPECT_THAT(*endpoints_.Log({.user_id = "bert", .endpoint_id = id, .limit = 10}), IsEmpty());
  EXPECT_FALSE(*endpoints_.Remove("bert", id));
  EXPECT_TRUE(*endpoints_.Remove("anna", id));
  EXPECT_EQ(database_.Query("SELECT count(*) FROM delivery"), "0");
  EXPECT_EQ(database_.Query("SELECT endpoints FROM mailbox WHERE user_id = 'anna'"), "0");
}

}  // namespace
}  // namespace flotilla::notify
