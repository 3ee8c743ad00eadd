// Orders in PostgreSQL. Blocking; one method is one transaction. Errors as in postgres/session.h.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "events/log.h"
#include "order/domain/order.h"
#include "postgres/session.h"
#include "saga/saga.h"

namespace flotilla::order {

// A new order with its event and the saga that will finish it.
struct Placement {
  Order order;
  events::Event event;
  saga::Record record;
};

// Either placed, or the order that has the id already.
struct Placed {
  std::optional<Order> existing;
};

// One refund of an order, of all or a part of its money.
struct Refund {
  std::string refund_id;    // the idempotency key
  std::int64_t amount = 0;  // minor units of the order's currency
  bool return_stock = false;
  bool last = true;  // no other refund of the order followed
};

// One change of an order's state: `order` as it stands afterwards, its event, and the saga that the change begins or
// ends.
struct Change {
  enum class Saga { kBegins, kEnds };
  Order order;
  events::Event event;
  saga::Record record;
  Saga saga = Saga::kEnds;
  std::optional<Refund> refund = {};  // that the change begins
};

// kStale: another owner has the saga, or the order of a change that begins one is no longer at the version before.
// kConflict: the saga holds, but somebody else has changed its order, which nobody may. Both: nothing was changed.
enum class ChangeResult { kDone, kStale, kConflict };

struct OrderKey {
  std::string user_id;
  std::string order_id;
};

struct RefundKey {
  OrderKey order;
  std::string refund_id;
};

// The caller's orders, newest first, beginning after `before`.
struct ListQuery {
  struct Position {
    absl::Time created_at;
    std::string order_id;
  };
  std::string user_id;
  int limit = 50;
  std::optional<Position> before;
};

class OrderStore {
 public:
  OrderStore(postgres::Options options, std::string saga_owner, absl::Duration saga_lease);

  // Results in the order of the arguments.
  absl::StatusOr<std::vector<Placed>> Place(std::span<const Placement> placements);
  absl::StatusOr<std::vector<ChangeResult>> Apply(std::span<const Change> changes);
  absl::StatusOr<std::vector<std::optional<Order>>> Read(std::span<const OrderKey> keys);
  absl::StatusOr<std::optional<Refund>> ReadRefund(const RefundKey& key);
  absl::StatusOr<std::vector<Order>> List(const ListQuery& query);

 private:
  postgres::Session session_;
  const std::string saga_owner_;
  const absl::Duration saga_lease_;
};

}  // namespace flotilla::order
