#include "order/store/order_lock.h"

namespace flotilla::order {
namespace {

const postgres::Statement kLockState = {
    "lock_order_state", "SELECT state FROM orders WHERE user_id = $1 AND order_id = $2::uuid FOR NO KEY UPDATE"};

}  // namespace

std::optional<State> LockState(postgres::Transaction& transaction, const OrderKey& key) {
  const pqxx::result rows = transaction.Run(kLockState, key.user_id, key.order_id);
  if (rows.empty()) return std::nullopt;
  return static_cast<State>(rows[0][0].as<int>());
}

}  // namespace flotilla::order
