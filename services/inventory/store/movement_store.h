// Stock movements in PostgreSQL. Blocking; one method is one transaction. Errors as in postgres/session.h.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "inventory/domain/movement.h"
#include "postgres/session.h"

namespace flotilla::inventory {

class MovementStore {
 public:
  explicit MovementStore(postgres::Options options) : session_(std::move(options)) {}

  absl::StatusOr<AdjustResult> Adjust(const AdjustCommand& command);
  absl::StatusOr<std::vector<Movement>> List(const MovementQuery& query);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::inventory
