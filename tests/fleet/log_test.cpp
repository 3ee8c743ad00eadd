// What logs must not tell: who somebody is, what he bought with, and every secret, also where calls fail.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/notify/v1/webhook_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using notify::v1::WebhookService;
using testing::HasSubstr;
using testing::Not;

constexpr char kUser[] = "user-4711-private", kPoor[] = "poor-4712-private", kKey[] = "key-4713-private";
constexpr char kHook[] = "hook-4714-private", kProviderSecret[] = "secret-4715-private";
constexpr char kToken[] = "token-4716-private";

TEST(Logs, NameNoUserAndNoSecret) {
  Fleet fleet;
  const std::string debug = "--log_level=debug";
  fleet.WaitServing(fleet.Start("inventory", {debug}));
  fleet.WaitServing(fleet.Start("payment", {debug, absl::StrCat("--provider_secrets=", kProviderSecret)}));
  fleet.WaitServing(fleet.Start("notify", {debug, "--webhook_allow_private", "--webhook_first_retry=100ms"}));
  fleet.WaitServing(fleet.Start("order", {debug, "--payment_window=2s"}));
  fleet.PutSku("sku", 10, 100);
  fleet.OpenWallet(kUser, 1000);
  fleet.OpenWallet(kPoor, 1);

  // A receiver that is not there.
  const auto hooks = WebhookService::NewStub(fleet.channel("notify-1"));
  notify::v1::RegisterEndpointRequest endpoint;
  endpoint.set_url(absl::StrCat("http://127.0.0.1:1/", kHook));
  notify::v1::RegisterEndpointResponse registered;
  ASSERT_TRUE(Call(*hooks, &WebhookService::Stub::RegisterEndpoint, kUser, endpoint, &registered).status.ok());
  endpoint.set_url(absl::StrCat("https://", kHook, "@127.0.0.1/"));
  EXPECT_FALSE(Call(*hooks, &WebhookService::Stub::RegisterEndpoint, kUser, endpoint, &registered).status.ok());

  // Orders that are paid, refused, refunded, left unpaid; calls that are wrong.
  const auto orders = fleet.orders();
  const Result paid = PlaceOrder(*orders, kUser, kKey, {{"sku", 2}});
  ASSERT_TRUE(paid.status.ok());
  EXPECT_TRUE(RefundOrder(*orders, kUser, paid.order.order_id(), {.refund_id = kKey}).status.ok());
  CreateOrder(*orders, kPoor, kKey, {{"sku", 1}});
  EXPECT_FALSE(CreateOrder(*orders, kUser, kKey, {{"sku", 3}}).status.ok());
  EXPECT_FALSE(CreateOrder(*orders, kUser, "", {{"sku", -1}}).status.ok());
  EXPECT_FALSE(GetOrder(*orders, kPoor, paid.order.order_id()).status.ok());
  const Result external =
      PlaceOrder(*orders, kUser, absl::StrCat(kKey, "-2"), {{"sku", 1}}, order::v1::PAYMENT_METHOD_EXTERNAL);
  Provider provider(fleet.payments(), kProviderSecret);
  EXPECT_NE(provider.Forge({.event_id = "e1", .reference = external.order.payment_reference(), .amount = 10}), "");
  EXPECT_NE(provider.Send({.event_id = "e2", .reference = external.order.payment_reference(), .amount = 9}), "");

  // A saga that meets trouble, and a caller who shows a token where none is asked for.
  fleet.Kill("payment-1");
  CreateOrder(*orders, kUser, absl::StrCat(kKey, "-3"), {{"sku", 1}}, 1000);
  fleet.Restart("payment-1");
  grpc::ClientContext context;
  context.AddMetadata("authorization", absl::StrCat("Bearer ", kToken));
  order::v1::GetOrderResponse unknown;
  EXPECT_FALSE(orders->GetOrder(&context, {}, &unknown).ok());
  EXPECT_EQ(fleet.Check(), "");
  EXPECT_TRUE(fleet.WaitForQuery("notify", "SELECT (max(attempts) > 1)::int FROM delivery", 1, 20));

  for (const char* instance : {"order-1", "inventory-1", "payment-1", "notify-1"}) {
    const std::string log = fleet.Log(instance);
    EXPECT_THAT(log, HasSubstr("\"message\":\"serving\"")) << instance;
    for (const char* secret : {kUser, kPoor, kKey, kHook, kProviderSecret, kToken}) {
      EXPECT_THAT(log, Not(HasSubstr(secret))) << instance;
    }
    EXPECT_THAT(log, Not(HasSubstr(registered.secret().empty() ? "whsec_" : registered.secret()))) << instance;
  }
}

}  // namespace
}  // namespace flotilla::fleet
