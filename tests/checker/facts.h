// What the databases say of each order, in a form that holds a million orders in memory.
#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"
#include "checker/client_log.h"
#include "checker/report.h"
#include "checker/snapshot.h"

namespace flotilla::checker {

using OrderId = absl::uint128;

// 0 where it is no UUID.
OrderId ParseId(const char* uuid);
std::string ToString(OrderId id);

// States by their numbers in the databases; 0 means there is no row.
enum OrderState {
  kNoOrder = 0,
  kReserved = 1,
  kPaid = 2,
  kCancelled = 3,
  kCancelling = 4,
  kAwaitingPayment = 5,
  kRefunding = 6,
  kOrderRefunded = 7,
  kPartiallyRefunded = 8,
};
enum ChargeState {
  kNoCharge = 0,
  kCharged = 1,
  kRefused = 2,
  kRefunded = 3,
  kVoided = 4,
  kAuthorized = 5,
  kAwaiting = 6,
  kOutOfTime = 7,
};
enum ReservationState { kNoReservation = 0, kHeld = 1, kConfirmed = 2, kReleased = 3, kExpired = 4 };
const char* Name(OrderState state);
const char* Name(ChargeState state);
const char* Name(ReservationState state);

struct OrderFact {
  std::string user;
  std::string cancel_reason;
  std::string currency;
  std::int64_t total = 0;
  std::int64_t version = 0;
  std::int64_t refunded = 0;         // as the order says
  std::int64_t charge_refunded = 0;  // as payment says
  std::uint64_t lines = 0;           // LinesHash
  OrderState state = kNoOrder;
  ChargeState charge = kNoCharge;
  ReservationState reservation = kNoReservation;
  bool has_saga = false;
  bool has_events = false;
  bool may_begin_late = false;      // the log may have dropped its first events,
  bool may_have_no_events = false;  // or all
  std::uint16_t visited = 0;        // bit s: was in state s, by its events
};

struct EventKey {
  OrderId order;
  std::int64_t sequence;
  bool operator==(const EventKey&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const EventKey& key) {
    return H::combine(std::move(h), key.order, key.sequence);
  }
};

struct Facts {
  absl::flat_hash_map<OrderId, OrderFact> orders;
  struct Delivery {
    std::int32_t handled = 0;
    std::int32_t notified = 0;
  };
  absl::flat_hash_map<EventKey, Delivery> events;
  // Orders that exist for the client log's calls.
  absl::flat_hash_map<std::pair<std::string, std::string>, OrderId> logged;
};

struct LineFact {
  std::string sku;
  std::int64_t quantity = 0;
  std::int64_t unit_price = 0;
};
// Equal for the same lines in any order.
std::uint64_t LinesHash(std::vector<LineFact> lines);
// From three array fields; the shorter ones are filled up with zeros.
std::vector<LineFact> Lines(const pqxx::field& skus, const pqxx::field& quantities, const pqxx::field& unit_prices);

// Read the order database; judge I8 and what of I5 and I7 stands in it alone.
void LoadOrders(Snapshot& order, const ClientLog* log, Facts& facts, Report& report);
void LoadEvents(Snapshot& order, Facts& facts, Report& report);
void LoadSagas(Snapshot& order, bool quiescent, bool allow_parked, Facts& facts, Report& report);

}  // namespace flotilla::checker
