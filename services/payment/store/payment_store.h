// Payments by the external provider, for those who ask what became of many. Blocking and single-threaded, like
// LedgerStore.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "payment/domain/charge.h"
#include "postgres/session.h"

namespace flotilla::payment {

class PaymentStore {
 public:
  explicit PaymentStore(postgres::Options options) : session_(std::move(options)) {}

  // In the order of the ids; nothing where the provider was never to be paid for the order.
  absl::StatusOr<std::vector<std::optional<ChargeState>>> Read(std::span<const std::string> order_ids);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
