#include "notify/workflow/intake.h"

#include "notify/workflow/decode.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

prometheus::Counter& Handled(const std::string& source, const char* outcome) {
  return telemetry::Counter("flotilla_notify_events_total", "Events handled, by source and outcome",
                            {{"source", source}, {"outcome", outcome}});
}

}  // namespace

Intake::Intake(postgres::Options options, std::string source, std::function<void()> deliveries)
    : store_(std::move(options)),
      source_(std::move(source)),
      deliveries_(std::move(deliveries)),
      notifications_(Handled(source_, "notified")),
      repeats_(Handled(source_, "repeated")),
      dead_letters_(Handled(source_, "dead_letter")) {}

absl::Status Intake::Apply(std::span<const events::Event> events) {
  const Batch batch = Decode(source_, events);
  const absl::StatusOr<Applied> applied = Store(batch);
  if (!applied.ok()) return applied.status();
  const auto given = static_cast<std::int64_t>(batch.notifications.size() + batch.dead_letters.size());
  repeats_.Increment(static_cast<double>(given - applied->notifications - applied->dead_letters));
  return absl::OkStatus();
}

absl::Status Intake::Bury(const events::Event& event, const absl::Status& reason) {
  Batch batch;
  const absl::string_view why = reason.message();
  batch.dead_letters.push_back(LetterOf(source_, event, {why.data(), why.size()}));
  return Store(batch).status();
}

absl::StatusOr<Applied> Intake::Store(const Batch& batch) {
  absl::StatusOr<Applied> applied = store_.Apply(batch);
  if (!applied.ok()) return applied;
  if (applied->deliveries) deliveries_();
  if (applied->dead_letters > 0) {
    for (const DeadLetter& letter : batch.dead_letters) {
      telemetry::Error("an event cannot be applied and is a dead letter",
                       {{"event_id", letter.event_id}, {"reason", letter.reason}});
    }
  }
  notifications_.Increment(static_cast<double>(applied->notifications));
  dead_letters_.Increment(static_cast<double>(applied->dead_letters));
  return applied;
}

}  // namespace flotilla::notify
