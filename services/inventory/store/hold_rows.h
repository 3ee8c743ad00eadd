// What the transactions on holds share: rows of reservation as values, and the summed changes they make to SKUs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "inventory/domain/hold.h"
#include "postgres/session.h"

namespace flotilla::inventory {

// Of a reservation r, as HoldFrom reads them.
#define HOLD_COLUMNS                                                             \
  "r.order_id::text, r.state, r.skus, r.quantities, r.unit_prices, r.currency, " \
  "(extract(epoch FROM r.expires_at) * 1000000)::bigint, r.limited_user"

struct StoredHold {
  HoldState state;
  Hold hold;
  std::string limited_user;  // in whose purchases lines of it are, or ""
};
using Holds = std::unordered_map<std::string, StoredHold>;  // by order id

StoredHold HoldFrom(const postgres::Row& row);
// Locks in the order of the ids.
Holds LockHolds(postgres::Transaction& transaction, const std::vector<std::string>& order_ids);
// What is committed now, without a lock.
Holds ReadHolds(postgres::Transaction& transaction, const std::vector<std::string>& order_ids);

// Summed changes, one row a SKU however many orders touch it.
struct Change {
  std::int64_t available = 0, reserved = 0, sold = 0;
};
using Changes = std::map<std::string, Change>;

void Move(postgres::Transaction& transaction, const Changes& changes);
// The same, and the state of holds, whose rows are locked already.
void MoveHolds(postgres::Transaction& transaction, const std::vector<std::string>& order_ids, HoldState state,
               const Changes& changes);

// Units that users have of limited SKUs, as rows of purchase.
class Purchases {
 public:
  void Add(const std::string& sku, const std::string& user_id, const std::string& order_id, std::int64_t units,
           std::int64_t limit);
  // All lines of a hold; nothing where none of them counts.
  void AddLines(const std::string& order_id, const StoredHold& hold);
  // Without a row this costs no statement.
  void Insert(postgres::Transaction& transaction) const;
  void Delete(postgres::Transaction& transaction) const;

 private:
  std::vector<std::string> skus_, users_, orders_;
  std::vector<std::int64_t> units_, limits_;
};

}  // namespace flotilla::inventory
