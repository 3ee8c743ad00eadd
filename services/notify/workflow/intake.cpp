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

Intake::Intake(postgres::Options options, std::string source, const Origin& origin, IntakeListeners listeners)
    : store_(std::move(options)),
      source_(std::move(source)),
      origin_(origin),
      listeners_(std::move(listeners)),
      notifications_(Handled(source_, "notified")),
      repeats_(Handled(source_, "repeated")),
      dead_letters_(Handled(source_, "dead_letter")) {}

absl::Status Intake::Apply(std::span<const events::Event> events) { return Store(Decode(source_, events)); }

absl::Status Intake::Bury(const events::Event& event, const absl::Status& reason) {
  Batch batch;
  const absl::string_view why = reason.message();
  batch.dead_letters.push_back(LetterOf(source_, event, {why.data(), why.size()}));
  return Store(batch);
}

absl::Status Intake::Store(const Batch& batch) {
  absl::StatusOr<Applied> applied = store_.Apply(batch, origin_.word());
  if (absl::IsUnknown(applied.status())) listeners_.in_doubt();
  if (!applied.ok()) return applied.status();
  if (applied->deliveries) listeners_.deliveries();
  if (applied->dead_letters > 0) {
    for (const DeadLetter& letter : batch.dead_letters) {
      telemetry::Error("an event cannot be applied and is a dead letter",
                       {{"event_id", letter.event_id}, {"reason", letter.reason}});
    }
  }
  const std::size_t stored = applied->stored.size();
  const auto dead = static_cast<double>(applied->dead_letters);
  notifications_.Increment(static_cast<double>(stored));
  dead_letters_.Increment(dead);
  repeats_.Increment(static_cast<double>(batch.notifications.size() + batch.dead_letters.size() - stored) - dead);
  if (stored > 0) listeners_.stored(std::move(applied->stored));
  return absl::OkStatus();
}

}  // namespace flotilla::notify
