#include "notify/workflow/decode.h"

#include <algorithm>
#include <functional>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "flotilla/inventory/v1/inventory_event.pb.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "flotilla/payment/v1/reconciliation_event.pb.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

constexpr std::size_t kMaxText = 200;

// What PostgreSQL takes as text, whatever the bytes are.
std::string Printable(std::string_view bytes) {
  return absl::CHexEscape(absl::string_view(bytes.data(), bytes.size())).substr(0, kMaxText);
}

bool IsPrintable(std::string_view text) {
  return text.size() <= kMaxText &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); });
}

// Empty where the envelope is fine.
std::string_view Fault(const events::Event& event) {
  if (event.stream_id.empty() || event.sequence <= 0 || !IsPrintable(event.stream_id)) return "no event id";
  if (event.type.empty() || !IsPrintable(event.type)) return "the type is missing or not printable";
  if (event.occurred_at < absl::UnixEpoch() || event.occurred_at > absl::FromUnixSeconds(253402300799)) {
    return "the time is out of range";
  }
  return "";
}

absl::Status Unreadable(std::string_view why) {
  return absl::InvalidArgumentError(absl::string_view(why.data(), why.size()));
}

// Each reads one service's data; sets user, order and values. False: it concerns nobody.
using Reader = absl::StatusOr<bool> (*)(const events::Event& event, Notification& notification);

absl::StatusOr<bool> ReadOrder(const events::Event& event, Notification& notification) {
  order::v1::OrderEvent data;
  if (!data.ParseFromString(event.data)) return Unreadable("the data are not an OrderEvent");
  const auto& order = data.order();
  if (!validation::IsUuid(order.order_id())) return Unreadable("order_id is not a UUID");
  if (!validation::IsName(order.user_id())) return Unreadable("user_id is not a user's");
  if (!IsPrintable(order.cancel_reason())) return Unreadable("cancel_reason is not printable");
  notification.user_id = order.user_id();
  notification.order_id = absl::AsciiStrToLower(order.order_id());
  notification.values = {{"order", order.order_id()}, {"reason", order.cancel_reason()}};
  return true;
}

absl::StatusOr<bool> ReadReconciliation(const events::Event& event, Notification& notification) {
  payment::v1::ReconciliationEvent data;
  if (!data.ParseFromString(event.data)) return Unreadable("the data are not a ReconciliationEvent");
  if (!IsPrintable(data.statement_id())) return Unreadable("statement_id is not printable");
  notification.user_id = kOperations;
  notification.values = {{"statement", data.statement_id()},
                         {"new", absl::StrCat(data.new_differences())},
                         {"open", absl::StrCat(data.open_differences())}};
  return true;
}

// Of the kinds left out the order's events tell.
absl::StatusOr<bool> ReadPayment(const events::Event& event, Notification& notification) {
  if (event.type == "reconciliation.differences") return ReadReconciliation(event, notification);
  payment::v1::PaymentEvent data;
  if (!data.ParseFromString(event.data)) return Unreadable("the data are not a PaymentEvent");
  if (data.kind() == payment::v1::PaymentEvent::KIND_LATE_REFUNDED) {
    notification.user_id = data.user_id();
  } else if (data.kind() == payment::v1::PaymentEvent::KIND_CONFLICT ||
             data.kind() == payment::v1::PaymentEvent::KIND_WRONG_AMOUNT) {
    notification.user_id = kOperations;
  } else {
    return false;
  }
  if (!validation::IsUuid(data.order_id())) return Unreadable("order_id is not a UUID");
  if (!validation::IsName(data.user_id())) return Unreadable("user_id is not a user's");
  notification.order_id = absl::AsciiStrToLower(data.order_id());
  notification.values = {{"order", data.order_id()}, {"user", data.user_id()}};
  return true;
}

absl::StatusOr<bool> ReadInventory(const events::Event& event, Notification& notification) {
  inventory::v1::StockLowEvent data;
  if (event.type != "stock.low") return false;
  if (!data.ParseFromString(event.data)) return Unreadable("the data are not a StockLowEvent");
  if (!validation::IsName(data.sku())) return Unreadable("sku is not an SKU");
  notification.user_id = kOperations;
  notification.values = {{"sku", data.sku()},
                         {"available", absl::StrCat(data.available())},
                         {"threshold", absl::StrCat(data.threshold())}};
  return true;
}

Reader ReaderOf(std::string_view source) {
  if (source == "order") return ReadOrder;
  if (source == "payment") return ReadPayment;
  if (source == "inventory") return ReadInventory;
  return [](const events::Event&, Notification&) -> absl::StatusOr<bool> {
    return Unreadable("nobody reads this service's events");
  };
}

}  // namespace

DeadLetter LetterOf(const std::string& source, const events::Event& event, std::string_view reason) {
  const bool has_id = !event.stream_id.empty() && event.sequence > 0 && IsPrintable(event.stream_id);
  // An id made from the data is the same at every delivery.
  const std::string id =
      has_id ? event.id()
             : absl::StrCat("unidentified/", absl::Hex(std::hash<std::string>()(event.data), absl::kZeroPad16));
  return {.event_id = EffectId(source, id),
          .source = source,
          .stream_id = Printable(event.stream_id),
          .sequence = event.sequence,
          .type = Printable(event.type),
          .data = event.data,
          .reason = Printable(reason),
          .occurred_at = std::clamp(event.occurred_at, absl::UnixEpoch(), absl::FromUnixSeconds(253402300799))};
}

events::Event EventOf(const DeadLetter& letter) {
  return {.stream_id = letter.stream_id,
          .sequence = letter.sequence,
          .type = letter.type,
          .data = letter.data,
          .occurred_at = letter.occurred_at};
}

Batch Decode(const std::string& source, std::span<const events::Event> events) {
  const Reader read = ReaderOf(source);
  Batch batch;
  batch.notifications.reserve(events.size());
  for (const events::Event& event : events) {
    Notification notification;
    const std::string_view fault = Fault(event);
    const absl::StatusOr<bool> concerns = fault.empty() ? read(event, notification) : Unreadable(fault);
    if (!concerns.ok()) {
      const absl::string_view why = concerns.status().message();
      batch.dead_letters.push_back(LetterOf(source, event, {why.data(), why.size()}));
      continue;
    }
    if (!*concerns) continue;
    notification.event_id = EffectId(source, event.id());
    notification.type = event.type;
    notification.occurred_at = event.occurred_at;
    batch.notifications.push_back(std::move(notification));
  }
  return batch;
}

}  // namespace flotilla::notify
