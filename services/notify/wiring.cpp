#include "notify/wiring.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "events/log.h"
#include "notify/api/notify_admin_api.h"
#include "notify/api/notify_api.h"
#include "notify/api/webhook_api.h"
#include "notify/store/inbox.h"
#include "notify/store/listener.h"
#include "notify/store/migrations.h"
#include "notify/store/origin.h"
#include "notify/store/rights.h"
#include "notify/store/stores.h"
#include "notify/workflow/dispatcher.h"
#include "notify/workflow/hub.h"
#include "notify/workflow/intake.h"
#include "notify/workflow/janitor.h"

ABSL_FLAG(int, max_subscribers, 10'000, "Subscribe streams this instance takes at once.");
ABSL_FLAG(bool, webhook_allow_private, false,
          "Webhooks may lead to http:// and to private addresses. For tests and closed networks.");
ABSL_FLAG(absl::Duration, webhook_first_retry, absl::Seconds(5),
          "Wait after a webhook's first failure; it doubles up to one hour.");
ABSL_FLAG(int, webhook_attempts, 16, "After so many failures of one delivery its webhook is disabled.");
ABSL_FLAG(absl::Duration, handled_retention, absl::Hours(21 * 24),
          "How long it is known which events were handled; longer than any service's --event_retention.");
ABSL_FLAG(absl::Duration, delivery_retention, absl::Hours(30 * 24), "How long the log of webhook deliveries is kept.");
ABSL_FLAG(absl::Duration, notification_retention, absl::Hours(90 * 24),
          "How long notifications stay in mailboxes, read or not; at least as long as --delivery_retention.");
ABSL_FLAG(absl::Duration, heartbeat, absl::Seconds(15), "After so long without news a stream gets a heartbeat.");

namespace flotilla::notify {
namespace {

// One consumer a service whose events concern users.
void Consume(runtime::Fleet& fleet, Origin& origin, Hub& hub, Dispatcher& dispatcher, const std::string& source,
             const std::string& stream) {
  auto* intake = fleet.Keep(
      std::make_unique<Intake>(fleet.postgres(), source, origin,
                               IntakeListeners{.stored = [&hub](auto stored) { hub.Deliver(std::move(stored)); },
                                               .deliveries = [&dispatcher] { dispatcher.Wake(); },
                                               .in_doubt =
                                                   [&origin, &hub] {
                                                     origin.Renew();
                                                     hub.WakeAll();
                                                   }}));
  fleet.Keep(std::make_unique<events::Consumer>(
      events::Consumer::ConsumerOptions{.nats = fleet.nats(),
                                        .stream = stream,
                                        .subject = "flotilla." + source + ".event",
                                        .durable = "notify",
                                        .max_batch = 512},
      [intake](auto events) { return intake->Apply(events); },
      [intake](const auto& event, const auto& reason) { return intake->Bury(event, reason); }));
}

}  // namespace

absl::Status Wire(runtime::Fleet& fleet) {
  if (absl::GetFlag(FLAGS_handled_retention) < absl::Hours(1)) {
    return absl::InvalidArgumentError("--handled_retention: must be 1 h or more");
  }
  if (absl::GetFlag(FLAGS_delivery_retention) < absl::Hours(1)) {
    return absl::InvalidArgumentError("--delivery_retention: must be 1 h or more");
  }
  if (absl::GetFlag(FLAGS_notification_retention) < absl::GetFlag(FLAGS_delivery_retention)) {
    return absl::InvalidArgumentError("--notification_retention: must not be below --delivery_retention");
  }
  const auto postgres = fleet.postgres();
  const auto migrate = [](const postgres::Options& owner) {
    return postgres::Migrate(owner, Migrations(), runtime::kDatabasePatience);
  };
  if (auto status = fleet.Migrate(Rights(), migrate); !status.ok()) return status;

  auto* inbox = fleet.Keep(std::make_unique<Inbox>(postgres));
  auto* stores = fleet.Keep(std::make_unique<StoreCalls>(postgres));
  auto* hub = fleet.Keep(std::make_unique<Hub>());
  auto* origin = fleet.Keep(std::make_unique<Origin>());
  fleet.Keep(std::make_unique<Listener>(
      postgres, [hub](const auto& told) { hub->Tell(told); }, [hub] { hub->WakeAll(); }, *origin));
  fleet.Keep(std::make_unique<NotifyApi>(fleet.server(), *inbox, *stores, *hub,
                                         NotifyApi::Options{.limits = {.all = absl::GetFlag(FLAGS_max_subscribers)},
                                                            .heartbeat = absl::GetFlag(FLAGS_heartbeat)}));
  fleet.Keep(std::make_unique<NotifyAdminApi>(fleet.server(), *stores));
  const bool allow_private = absl::GetFlag(FLAGS_webhook_allow_private);
  fleet.Keep(std::make_unique<WebhookApi>(fleet.server(), *stores, allow_private));
  auto* dispatcher = fleet.Keep(std::make_unique<Dispatcher>(Dispatcher::Options{
      .postgres = postgres,
      .retry = {.first = absl::GetFlag(FLAGS_webhook_first_retry), .attempts = absl::GetFlag(FLAGS_webhook_attempts)},
      .http = {.allow_private = allow_private}}));
  fleet.Keep(std::make_unique<Janitor>(
      Janitor::Options{.postgres = postgres,
                       .handled_retention = absl::GetFlag(FLAGS_handled_retention),
                       .delivery_retention = absl::GetFlag(FLAGS_delivery_retention),
                       .notification_retention = absl::GetFlag(FLAGS_notification_retention)}));
  Consume(fleet, *origin, *hub, *dispatcher, "order", "FLOTILLA_ORDER");
  Consume(fleet, *origin, *hub, *dispatcher, "payment", "FLOTILLA_PAYMENT");
  Consume(fleet, *origin, *hub, *dispatcher, "inventory", "FLOTILLA_INVENTORY");
  return absl::OkStatus();
}

}  // namespace flotilla::notify
