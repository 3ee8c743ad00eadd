// Orders that await their payment for longer than they should. Blocking and single-threaded, like OrderStore.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "order/store/order_store.h"
#include "postgres/session.h"

namespace flotilla::order {

// An order, and until when it was to be paid.
struct Overdue {
  OrderKey key;
  absl::Time awaits_until;
};

class AwaitingStore {
 public:
  explicit AwaitingStore(postgres::Options options) : session_(std::move(options)) {}

  // Those that were to be paid by `latest`, oldest first, beginning after `after`.
  absl::StatusOr<std::vector<Overdue>> List(absl::Time latest, const std::optional<Overdue>& after, int limit);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::order
