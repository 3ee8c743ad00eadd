#include "order/domain/order.h"

#include <algorithm>

#include "digest/digest.h"

namespace flotilla::order {

bool MayFollow(State from, State to) {
  switch (from) {
    case State::kReserved:
      return to == State::kPaid || to == State::kCancelled || to == State::kAwaitingPayment;
    case State::kAwaitingPayment:
      return to == State::kReserved || to == State::kCancelling;
    case State::kPaid:
    case State::kPartiallyRefunded:
      return to == State::kCancelling || to == State::kRefunding;
    case State::kRefunding:
      return to == State::kRefunded || to == State::kPartiallyRefunded;
    case State::kCancelling:
      return to == State::kCancelled;
    case State::kCancelled:
    case State::kRefunded:
      return false;
  }
  return false;
}

std::string_view EventType(State state) {
  switch (state) {
    case State::kReserved:
      return "order.reserved";
    case State::kPaid:
      return "order.paid";
    case State::kCancelled:
      return "order.cancelled";
    case State::kCancelling:
      return "order.cancelling";
    case State::kAwaitingPayment:
      return "order.awaiting_payment";
    case State::kRefunding:
      return "order.refunding";
    case State::kRefunded:
      return "order.refunded";
    case State::kPartiallyRefunded:
      return "order.partially_refunded";
  }
  return "order.unknown";
}

Order Advance(Order order, State state, absl::Time now, std::string reason) {
  order.state = state;
  order.cancel_reason = std::move(reason);
  order.version += 1;
  // Clocks of instances differ; an order's own time never runs backwards.
  order.updated_at = std::max(ToMicroseconds(now), order.updated_at);
  return order;
}

std::string OrderId(std::string_view user_id, std::string_view idempotency_key) {
  std::string text;
  text.reserve(user_id.size() + 1 + idempotency_key.size());
  text.append(user_id).push_back('\0');
  text.append(idempotency_key);
  auto digest = digest::Sha256(text);
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0f) | 0x80);  // version 8
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3f) | 0x80);  // variant
  constexpr char kHex[] = "0123456789abcdef";
  std::string uuid;
  uuid.reserve(36);
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid.push_back('-');
    uuid.push_back(kHex[digest[i] >> 4]);
    uuid.push_back(kHex[digest[i] & 15]);
  }
  return uuid;
}

std::string BodyHash(const std::vector<Line>& lines, PaymentMethod method) {
  std::string text = std::to_string(static_cast<int>(method));
  for (const Line& line : lines) {
    // SKUs hold no blanks, so this is unambiguous.
    text.append(" ").append(line.sku).append(" ").append(std::to_string(line.quantity));
  }
  return std::string(digest::Bytes(digest::Sha256(text)).substr(0, 16));
}

std::optional<std::int64_t> Total(const std::vector<Line>& lines) {
  std::int64_t total = 0;
  for (const Line& line : lines) {
    std::int64_t amount = 0;
    if (__builtin_mul_overflow(line.quantity, line.unit_price, &amount)) return std::nullopt;
    if (__builtin_add_overflow(total, amount, &total) || total > kMaxTotal) return std::nullopt;
  }
  return total;
}

absl::Time ToMicroseconds(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }

}  // namespace flotilla::order
