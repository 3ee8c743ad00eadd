// flotilla-notify: tells users what happened to their orders.
#include <memory>

#include "events/log.h"
#include "notify/api/notify_api.h"
#include "notify/store/inbox.h"
#include "notify/store/listener.h"
#include "notify/store/migrations.h"
#include "notify/workflow/hub.h"
#include "notify/workflow/intake.h"
#include "runtime/runtime.h"

namespace {

absl::Status Wire(flotilla::runtime::Fleet& fleet) {
  using namespace flotilla;
  const auto postgres = fleet.postgres();
  if (auto status = fleet.Migrate(notify::Migrations()); !status.ok()) return status;

  auto* inbox = fleet.Keep(std::make_unique<notify::Inbox>(postgres));
  auto* hub = fleet.Keep(std::make_unique<notify::Hub>());
  fleet.Keep(std::make_unique<notify::Listener>(
      postgres, [hub](const auto& users) { hub->Wake(users); }, [hub] { hub->WakeAll(); }));
  fleet.Keep(std::make_unique<notify::NotifyApi>(fleet.server(), *inbox, *hub));
  auto* intake = fleet.Keep(std::make_unique<notify::Intake>(postgres));
  fleet.Keep(std::make_unique<events::Consumer>(events::Consumer::ConsumerOptions{.nats = fleet.nats(),
                                                                                  .stream = "FLOTILLA_ORDER",
                                                                                  .subject = "flotilla.order.event",
                                                                                  .durable = "notify",
                                                                                  .max_batch = 512},
                                                [intake](auto events) { return intake->Apply(events); }));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "notify", Wire); }
