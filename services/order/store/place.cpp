#include <numeric>
#include <set>
#include <tuple>

#include "order/store/order_rows.h"
#include "order/store/order_store.h"

namespace flotilla::order {
namespace {

using postgres::Array;
using postgres::Care;
using postgres::Statement;
using postgres::Transaction;

#define INSERT_ORDERS \
  R"(
    INSERT INTO orders (user_id, order_id, idempotency_key, body_hash, state, skus, quantities, unit_prices, currency,
                        total, payment_method, version, created_at, updated_at)
    SELECT i.user_id, i.order_id, i.idempotency_key, i.body_hash, 1, i.skus::text[], i.quantities::bigint[],
           i.unit_prices::bigint[], i.currency, i.total, i.method, 1, t.at, t.at
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bpchar[],
                $9::bigint[], $10::smallint[], $11::bigint[])
      AS i(user_id, order_id, idempotency_key, body_hash, skus, quantities, unit_prices, currency, total, method, at_us),
      LATERAL (SELECT 'epoch'::timestamptz + i.at_us * interval '1 microsecond' AS at) t)"
const Statement kInsertNew = {"insert_new_orders", INSERT_ORDERS};
const Statement kInsert = {"insert_orders",
                           INSERT_ORDERS " ON CONFLICT (user_id, order_id) DO NOTHING RETURNING order_id"};
#undef INSERT_ORDERS

// As parameters of an insert.
auto Columns(std::span<const Placement> placements, const std::vector<std::size_t>& chosen) {
  std::vector<std::string> users, ids, keys, hashes, skus, quantities, prices, currencies;
  std::vector<std::int64_t> totals, methods, times;
  for (std::size_t index : chosen) {
    const Order& order = placements[index].order;
    std::vector<std::string> line_skus;
    std::vector<std::int64_t> line_quantities, line_prices;
    for (const Line& line : order.lines) {
      line_skus.push_back(line.sku);
      line_quantities.push_back(line.quantity);
      line_prices.push_back(line.unit_price);
    }
    users.push_back(order.user_id);
    ids.push_back(order.order_id);
    keys.push_back(order.idempotency_key);
    hashes.push_back(order.body_hash);
    skus.push_back(postgres::Literal(line_skus));
    quantities.push_back(postgres::Literal(line_quantities));
    prices.push_back(postgres::Literal(line_prices));
    currencies.push_back(order.currency);
    totals.push_back(order.total);
    methods.push_back(static_cast<int>(order.payment_method));
    times.push_back(absl::ToUnixMicros(order.created_at));
  }
  return std::tuple(Array(users), Array(ids), Array(keys), postgres::ByteArray(hashes), Array(skus), Array(quantities),
                    Array(prices), Array(currencies), Array(totals), Array(methods), Array(times));
}

// All of them are new: nothing here waits for an answer.
void InsertNew(Transaction& transaction, std::span<const Placement> placements) {
  std::vector<std::size_t> all(placements.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::apply([&](const auto&... column) { transaction.Defer(kInsertNew, column...); }, Columns(placements, all));
}

// Those that are new.
std::set<std::string> Insert(Transaction& transaction, std::span<const Placement> placements,
                             const std::vector<std::size_t>& chosen) {
  return std::apply([&](const auto&... column) { return Ids(transaction.Run(kInsert, column...)); },
                    Columns(placements, chosen));
}

// What goes with new orders: their sagas and events.
void WriteRest(Transaction& transaction, std::span<const Placement> placements, const std::vector<std::size_t>& placed,
               const std::string& owner, absl::Duration lease) {
  if (placed.empty()) return;
  std::vector<saga::Record> records;
  std::vector<events::Event> events;
  for (const std::size_t i : placed) {
    records.push_back(placements[i].record);
    events.push_back(placements[i].event);
  }
  saga::Begin(transaction, records, owner, lease);
  events::Append(transaction, events);
}

}  // namespace

absl::StatusOr<std::vector<Placed>> OrderStore::Place(std::span<const Placement> placements) {
  // Two requests with one key may meet in one batch: the first is placed, the other finds it.
  std::vector<std::size_t> chosen;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < placements.size(); ++i) {
    if (seen.insert(placements[i].order.order_id).second) chosen.push_back(i);
  }
  std::vector<Placed> results;
  const absl::Status status = session_.TransactHopefully([&](Transaction& transaction, Care care) {
    results.assign(placements.size(), {});
    if (care == Care::kHope && chosen.size() == placements.size()) {
      InsertNew(transaction, placements);
      WriteRest(transaction, placements, chosen, saga_owner_, saga_lease_);
      return absl::OkStatus();
    }
    const std::set<std::string> inserted = Insert(transaction, placements, chosen);
    std::vector<std::size_t> new_ones;
    std::vector<bool> placed(placements.size(), false);
    for (std::size_t index : chosen) {
      if (!inserted.contains(placements[index].order.order_id)) continue;
      placed[index] = true;
      new_ones.push_back(index);
    }
    WriteRest(transaction, placements, new_ones, saga_owner_, saga_lease_);
    if (new_ones.size() == placements.size()) return absl::OkStatus();
    std::vector<std::string> users, ids;
    for (std::size_t i = 0; i < placements.size(); ++i) {
      if (placed[i]) continue;
      users.push_back(placements[i].order.user_id);
      ids.push_back(placements[i].order.order_id);
    }
    const auto found = ReadRows(transaction, users, ids);
    for (std::size_t i = 0; i < placements.size(); ++i) {
      if (placed[i]) continue;
      const auto it = found.find(placements[i].order.order_id);
      if (it == found.end()) return absl::InternalError("an order is neither new nor there");
      results[i].existing = it->second;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

}  // namespace flotilla::order
