#include "payment/store/payment_store.h"

#include "absl/container/flat_hash_map.h"

namespace flotilla::payment {
namespace {

const postgres::Statement kRead = {"read_payments", R"(
    SELECT order_id, state FROM charge WHERE order_id = ANY($1::uuid[]) AND method = 2)"};

}  // namespace

absl::StatusOr<std::vector<std::optional<ChargeState>>> PaymentStore::Read(std::span<const std::string> order_ids) {
  std::vector<std::optional<ChargeState>> states;
  const absl::Status status = session_.Read([&](postgres::Transaction& transaction) {
    absl::flat_hash_map<std::string, ChargeState> found;
    for (const auto& row : transaction.Run(kRead, postgres::Array(order_ids))) {
      found.emplace(row[0].c_str(), static_cast<ChargeState>(row[1].as<int>()));
    }
    states.clear();
    for (const std::string& id : order_ids) {
      const auto it = found.find(id);
      states.push_back(it == found.end() ? std::nullopt : std::optional(it->second));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return states;
}

}  // namespace flotilla::payment
