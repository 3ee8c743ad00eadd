// An order and its rules. No I/O, no wire formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::order {

// The numbers are those of flotilla.order.v1.OrderState and of the database.
enum class State : int {
  kReserved = 1,
  kPaid = 2,
  kCancelled = 3,
  kCancelling = 4,
  kAwaitingPayment = 5,  // by the external provider
  kRefunding = 6,
  kRefunded = 7,
  kPartiallyRefunded = 8,
};

// The numbers are those of flotilla.order.v1.PaymentMethod and of the database.
enum class PaymentMethod : int { kWallet = 1, kExternal = 2 };

// One line; the price is fixed when the stock is reserved.
struct Line {
  std::string sku;
  std::int64_t quantity = 0;    // units
  std::int64_t unit_price = 0;  // minor units of the order's currency
  bool operator==(const Line&) const = default;
};

struct Order {
  std::string order_id;  // UUID, lower case
  std::string user_id;
  std::string idempotency_key;
  std::string body_hash;  // 16 bytes, see BodyHash
  State state = State::kReserved;
  std::vector<Line> lines;
  std::string currency;       // ISO 4217
  std::int64_t total = 0;     // minor units
  std::int64_t refunded = 0;  // of the total, minor units
  PaymentMethod payment_method = PaymentMethod::kWallet;
  std::string payment_reference;             // what the external provider knows the order by
  absl::Time pay_by = absl::InfinitePast();  // whole seconds; of an external payment
  std::string cancel_reason;
  std::int64_t version = 1;  // number of state changes so far, the first one included
  absl::Time created_at;     // whole microseconds
  absl::Time updated_at;     // whole microseconds
  bool operator==(const Order&) const = default;
};

// No further change comes by itself.
inline bool Settled(State state) {
  return state == State::kPaid || state == State::kCancelled || state == State::kRefunded ||
         state == State::kPartiallyRefunded;
}
// The sale stands, whatever of its money went back.
inline bool Complete(State state) { return state == State::kPaid || state == State::kPartiallyRefunded; }
// The fleet has done its part for now: settled, or it is the payer's turn.
inline bool AtRest(State state) { return Settled(state) || state == State::kAwaitingPayment; }

// The state machine:
//   RESERVED -> PAID | CANCELLED | AWAITING_PAYMENT
//   AWAITING_PAYMENT -> RESERVED (paid; the stock is being confirmed) | CANCELLING
//   PAID | PARTIALLY_REFUNDED -> CANCELLING | REFUNDING
//   REFUNDING -> REFUNDED | PARTIALLY_REFUNDED
//   CANCELLING -> CANCELLED
bool MayFollow(State from, State to);

// "order.reserved", "order.paid" and so on.
std::string_view EventType(State state);

// The order after a change to `state` now. `reason` only for a cancelled or cancelling one.
Order Advance(Order order, State state, absl::Time now, std::string reason = {});

// The order's id: a UUIDv8 (RFC 9562, section 5.8) from SHA-256 over user, a zero byte and the idempotency key. The
// same request finds the same order without a look-up table, on any instance.
std::string OrderId(std::string_view user_id, std::string_view idempotency_key);

// Tells a repeat of a request from another one under the same key: the first 16 bytes of SHA-256 over its lines (sku
// and quantity, in order) and payment method.
std::string BodyHash(const std::vector<Line>& lines, PaymentMethod method);

// The most that an order may cost, in minor units: as much as payment takes.
inline constexpr std::int64_t kMaxTotal = 1'000'000'000'000'000;

// Sum of quantity * unit price; nothing where it exceeds kMaxTotal.
std::optional<std::int64_t> Total(const std::vector<Line>& lines);

// The time in the database's precision.
absl::Time ToMicroseconds(absl::Time time);

}  // namespace flotilla::order
