// More orders at once than the fleet is allowed to run: what is turned away is told so, what is accepted is kept, and
// afterwards all is as before. bench/overload measures the same at ten times the sustainable load.
#include "fleet/fleet.h"
#include "fleet/flood.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

constexpr int kUsers = 50, kSkus = 10;

TEST(Overload, EveryCallIsAnsweredAndNothingIsLost) {
  Fleet fleet;
  // Meanwhile connections are replaced, inside the fleet and with its client.
  const std::string age = "--connection_age=1s";
  for (const char* service : {"inventory", "payment", "notify"}) fleet.Start(service, {age});
  // So little that any machine is overloaded.
  fleet.Start("order", {age, "--target_latency=5ms"});
  for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.WaitServing(instance);
  for (int i = 0; i < kSkus; ++i) fleet.PutSku("sku-" + std::to_string(i), 100, 1'000'000);
  for (int i = 0; i < kUsers; ++i) fleet.OpenWallet("user-" + std::to_string(i), 100'000'000);

  Flood flood({.address = fleet.address("order-1"),
               .run = "flood",
               .users = kUsers,
               .skus = kSkus,
               .timeout = absl::Seconds(20),
               .log = true});
  Answers answers = flood.Closed(600, absl::Seconds(4));
  // Where the machine stood still meanwhile, too little was sent.
  for (int round = 0; round < 2 && answers.shed == 0; ++round) answers = flood.Closed(600, absl::Seconds(4));
  EXPECT_EQ(answers.answered, answers.sent);
  EXPECT_GT(answers.by_outcome.at("OK"), 0);
  EXPECT_GT(answers.shed, 0);
  EXPECT_EQ(answers.shed_without_delay, 0);
  for (const auto& [outcome, count] : answers.by_outcome) {
    EXPECT_TRUE(outcome == "OK" || outcome == "RESOURCE_EXHAUSTED OVERLOADED" ||
                outcome == "RESOURCE_EXHAUSTED SERVER_BUSY" || outcome == "RESOURCE_EXHAUSTED USER_RATE_LIMITED" ||
                outcome.starts_with("UNAVAILABLE ") || outcome.starts_with("DEADLINE_EXCEEDED "))
        << outcome << ": " << count;
  }
  // Whoever comes now is served.
  EXPECT_TRUE(Eventually([&] {
    static int n = 0;
    return CreateOrder(*fleet.orders(), "user-0", "after-" + std::to_string(++n), {{"sku-0", 1}}).status.ok();
  }));
  EXPECT_EQ(fleet.Check(), "");
}

TEST(Overload, AUserBeyondTheRateIsRefusedAlone) {
  Fleet fleet;
  for (const char* service : {"inventory", "payment", "notify"}) fleet.Start(service);
  fleet.Start("order", {"--user_limits=flotilla.order.v1.OrderService/CreateOrder=0.001:2"});
  for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.WaitServing(instance);
  fleet.PutSku("sku", 100, 100);
  for (const char* user : {"anna", "berta"}) fleet.OpenWallet(user, 100'000);
  const auto stub = fleet.orders();
  for (const char* key : {"1", "2"}) EXPECT_TRUE(CreateOrder(*stub, "anna", key, {{"sku", 1}}).status.ok()) << key;
  EXPECT_EQ(CreateOrder(*stub, "anna", "3", {{"sku", 1}}).reason, "USER_RATE_LIMITED");
  EXPECT_TRUE(CreateOrder(*stub, "berta", "1", {{"sku", 1}}).status.ok());
  EXPECT_EQ(GetOrder(*stub, "anna", "00000000-0000-0000-0000-000000000000").reason, "UNKNOWN_ORDER")
      << "other methods have rates of their own";
  EXPECT_EQ(fleet.Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
