#include "notify/workflow/janitor.h"

#include <string>
#include <utility>

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

prometheus::Counter& Deleted(const char* what) {
  return telemetry::Counter("flotilla_notify_pruned_total", "Rows deleted for their age, by kind", {{"kind", what}});
}

}  // namespace

Janitor::Janitor(Options options)
    : options_(std::move(options)), pruner_(Named(options_.postgres, "janitor")), thread_([this] { Run(); }) {}

Janitor::~Janitor() {
  stop_.Set();
  thread_.join();
}

void Janitor::Run() {
  do {
    Pass(&Pruner::PruneHandled, options_.handled_retention, Deleted("handled_event"));
    Pass(&Pruner::PruneDeliveries, options_.delivery_retention, Deleted("delivery"));
    Pass(&Pruner::PruneNotifications, options_.notification_retention, Deleted("notification"));
  } while (!stop_.WaitFor(options_.every));
}

void Janitor::Pass(absl::Status (Pruner::*prune)(absl::Duration, Pruner::Pass&), absl::Duration age,
                   prometheus::Counter& deleted) {
  for (Pruner::Pass pass; !pass.end && !stop_.WaitFor(options_.pause);) {
    if (const absl::Status status = (pruner_.*prune)(age, pass); !status.ok()) {
      telemetry::Warning("janitor: cannot delete what is old", {{"error", std::string(status.message())}});
      return;  // the next round begins anew
    }
    deleted.Increment(static_cast<double>(pass.deleted));
  }
}

}  // namespace flotilla::notify
