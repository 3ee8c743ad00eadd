#include "notify/workflow/intake.h"

#include <algorithm>
#include <functional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

constexpr std::size_t kMaxText = 200;

// What PostgreSQL takes as text, whatever the bytes are.
std::string Printable(const std::string& bytes) { return absl::CHexEscape(bytes).substr(0, kMaxText); }

bool IsPrintable(const std::string& text) {
  return text.size() <= kMaxText &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); });
}

// Empty where the event is fine.
std::string_view Fault(const events::Event& event, const order::v1::OrderEvent& data, bool parsed) {
  if (!parsed) return "the data are not an OrderEvent";
  const auto& order = data.order();
  if (!validation::IsUuid(order.order_id())) return "order_id is not a UUID";
  if (!validation::IsName(order.user_id())) return "user_id is not a user's";
  if (!IsPrintable(order.cancel_reason())) return "cancel_reason is not printable";
  if (event.type.empty() || !IsPrintable(event.type)) return "the type is missing or not printable";
  if (event.occurred_at < absl::UnixEpoch() || event.occurred_at > absl::FromUnixSeconds(253402300799)) {
    return "the time is out of range";
  }
  return "";
}

// An event's id or, for a message that has none, one made from its data, the same at every delivery.
std::string IdOf(const events::Event& event, std::string_view* fault) {
  if (!event.stream_id.empty() && event.sequence > 0 && IsPrintable(event.stream_id)) return event.id();
  *fault = "no event id";
  return absl::StrCat("unidentified/", absl::Hex(std::hash<std::string>()(event.data), absl::kZeroPad16));
}

prometheus::Counter& Handled(const char* outcome) {
  return telemetry::Counter("flotilla_notify_events_total", "Events handled, by outcome", {{"outcome", outcome}});
}

}  // namespace

Batch Decode(std::span<const events::Event> events) {
  Batch batch;
  batch.notifications.reserve(events.size());
  order::v1::OrderEvent data;
  for (const events::Event& event : events) {
    const bool parsed = data.ParseFromString(event.data);
    std::string_view fault = Fault(event, data, parsed);
    std::string id = IdOf(event, &fault);
    if (!fault.empty()) {
      batch.dead_letters.push_back(
          {std::move(id), Printable(event.stream_id), Printable(event.type), event.data, std::string(fault)});
      continue;
    }
    const auto& order = data.order();
    batch.notifications.push_back({.user_id = order.user_id(),
                                   .event_id = std::move(id),
                                   .type = event.type,
                                   .order_id = absl::AsciiStrToLower(order.order_id()),
                                   .text = TextOf(event.type, order.order_id(), order.cancel_reason()),
                                   .occurred_at = event.occurred_at});
  }
  return batch;
}

Intake::Intake(postgres::Options options)
    : store_(std::move(options)),
      notifications_(Handled("notified")),
      repeats_(Handled("repeated")),
      dead_letters_(Handled("dead_letter")) {}

absl::Status Intake::Apply(std::span<const events::Event> events) {
  const Batch batch = Decode(events);
  const absl::StatusOr<NotificationStore::Applied> applied = store_.Apply(batch);
  if (!applied.ok()) return applied.status();
  if (applied->dead_letters > 0) {
    for (const DeadLetter& letter : batch.dead_letters) {
      telemetry::Error("an event cannot be read and went to dead_letter",
                       {{"event_id", letter.event_id}, {"reason", letter.reason}});
    }
  }
  notifications_.Increment(static_cast<double>(applied->notifications));
  dead_letters_.Increment(static_cast<double>(applied->dead_letters));
  repeats_.Increment(
      static_cast<double>(static_cast<std::int64_t>(events.size()) - applied->notifications - applied->dead_letters));
  return absl::OkStatus();
}

}  // namespace flotilla::notify
