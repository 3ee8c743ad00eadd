// Whether orders are complete, and what they cost, for those who ask about many at once: no lines are read. Blocking
// and single-threaded, like OrderStore.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "order/domain/order.h"
#include "order/store/order_store.h"
#include "postgres/session.h"

namespace flotilla::order {

struct Completion {
  State state = State::kReserved;
  // Of a complete order. Where a part was refunded since, a moment between its completion and its first refund.
  absl::Time completed_at = absl::InfinitePast();
  std::string currency = {};
  std::int64_t total = 0;  // minor units
  std::int64_t refunded = 0;
};

class CompletionStore {
 public:
  explicit CompletionStore(postgres::Options options) : session_(std::move(options)) {}

  // In the order of the keys; nothing where there is no such order.
  absl::StatusOr<std::vector<std::optional<Completion>>> Read(std::span<const OrderKey> keys);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::order
