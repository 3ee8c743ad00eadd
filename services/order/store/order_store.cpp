#include "order/store/order_store.h"

#include <set>
#include <unordered_map>

namespace flotilla::order {
namespace {

using postgres::Array;
using postgres::Elements;
using postgres::Statement;
using postgres::Transaction;

#define ORDER_COLUMNS                                                                                                 \
  "o.user_id, o.order_id, o.idempotency_key, o.body_hash, o.state, o.skus, o.quantities, o.unit_prices, o.currency, " \
  "o.total, o.cancel_reason, o.version, (extract(epoch FROM o.created_at) * 1000000)::bigint, "                       \
  "(extract(epoch FROM o.updated_at) * 1000000)::bigint, o.refunded, o.payment_method, o.payment_reference, "         \
  "extract(epoch FROM o.pay_by)::bigint"

// Lines travel as one array literal a row. Times are microseconds since the epoch.
const Statement kInsert = {"insert_orders", R"(
    INSERT INTO orders (user_id, order_id, idempotency_key, body_hash, state, skus, quantities, unit_prices, currency,
                        total, payment_method, version, created_at, updated_at)
    SELECT i.user_id, i.order_id, i.idempotency_key, i.body_hash, 1, i.skus::text[], i.quantities::bigint[],
           i.unit_prices::bigint[], i.currency, i.total, i.method, 1, t.at, t.at
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bpchar[],
                $9::bigint[], $10::smallint[], $11::bigint[])
      AS i(user_id, order_id, idempotency_key, body_hash, skus, quantities, unit_prices, currency, total, method, at_us),
      LATERAL (SELECT 'epoch'::timestamptz + i.at_us * interval '1 microsecond' AS at) t
    ON CONFLICT (user_id, order_id) DO NOTHING
    RETURNING order_id)"};

const Statement kUpdate = {"update_orders", R"(
    UPDATE orders o
    SET state = i.state, version = i.version, cancel_reason = i.cancel_reason, refunded = i.refunded,
        payment_reference = i.reference,
        pay_by = 'epoch'::timestamptz + NULLIF(i.pay_by_s, 0) * interval '1 second',
        updated_at = 'epoch'::timestamptz + i.at_us * interval '1 microsecond'
    FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
                $9::bigint[])
      AS i(user_id, order_id, state, version, cancel_reason, at_us, refunded, reference, pay_by_s)
    WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND o.version = i.version - 1
    RETURNING o.order_id)"};

const Statement kRead = {"read_orders", "SELECT " ORDER_COLUMNS R"(
    FROM unnest($1::text[], $2::uuid[]) AS i(user_id, order_id)
    JOIN orders o ON o.user_id = i.user_id AND o.order_id = i.order_id)"};

const Statement kListFirst = {"list_orders_first", "SELECT " ORDER_COLUMNS R"(
    FROM orders o WHERE o.user_id = $1 ORDER BY o.created_at DESC, o.order_id DESC LIMIT $2::int)"};

const Statement kListNext = {"list_orders_next", "SELECT " ORDER_COLUMNS R"(
    FROM orders o
    WHERE o.user_id = $1
      AND (o.created_at, o.order_id) < ('epoch'::timestamptz + $3::bigint * interval '1 microsecond', $4::uuid)
    ORDER BY o.created_at DESC, o.order_id DESC LIMIT $2::int)"};

#undef ORDER_COLUMNS

const Statement kInsertRefund = {"insert_order_refund", R"(
    INSERT INTO order_refund (user_id, order_id, refund_id, amount, return_stock)
    VALUES ($1, $2::uuid, $3, $4::bigint, $5::boolean))"};

const Statement kReadRefund = {"read_order_refund", R"(
    SELECT amount, return_stock FROM order_refund WHERE user_id = $1 AND order_id = $2::uuid AND refund_id = $3)"};

Order FromRow(const pqxx::row& row) {
  Order order;
  order.user_id = row[0].c_str();
  order.order_id = row[1].c_str();
  order.idempotency_key = row[2].c_str();
  order.body_hash = postgres::FromBytes(row[3].c_str());
  order.state = static_cast<State>(row[4].as<int>());
  const auto skus = Elements(row[5]);
  const auto quantities = Elements(row[6]);
  const auto prices = Elements(row[7]);
  order.lines.reserve(skus.size());
  for (std::size_t i = 0; i < skus.size(); ++i) {
    order.lines.push_back({skus[i], std::stoll(quantities.at(i)), std::stoll(prices.at(i))});
  }
  order.currency = row[8].c_str();
  order.total = row[9].as<std::int64_t>();
  order.cancel_reason = row[10].c_str();
  order.version = row[11].as<std::int64_t>();
  order.created_at = absl::FromUnixMicros(row[12].as<std::int64_t>());
  order.updated_at = absl::FromUnixMicros(row[13].as<std::int64_t>());
  order.refunded = row[14].as<std::int64_t>();
  order.payment_method = static_cast<PaymentMethod>(row[15].as<int>());
  order.payment_reference = row[16].c_str();
  if (!row[17].is_null()) order.pay_by = absl::FromUnixSeconds(row[17].as<std::int64_t>());
  return order;
}

// By order id. An id belongs to one user, but a caller may ask with a wrong one: then there is no row.
std::unordered_map<std::string, Order> ReadRows(Transaction& transaction, const std::vector<std::string>& users,
                                                const std::vector<std::string>& ids) {
  std::unordered_map<std::string, Order> found;
  for (const auto& row : transaction.Run(kRead, Array(users), Array(ids))) {
    Order order = FromRow(row);
    std::string id = order.order_id;
    found.emplace(std::move(id), std::move(order));
  }
  return found;
}

std::set<std::string> Ids(const pqxx::result& rows) {
  std::set<std::string> ids;
  for (const auto& row : rows) ids.insert(row[0].c_str());
  return ids;
}

std::set<std::string> Insert(Transaction& transaction, std::span<const Placement> placements,
                             const std::vector<std::size_t>& chosen) {
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
    skus.push_back(Array(line_skus));
    quantities.push_back(Array(line_quantities));
    prices.push_back(Array(line_prices));
    currencies.push_back(order.currency);
    totals.push_back(order.total);
    methods.push_back(static_cast<int>(order.payment_method));
    times.push_back(absl::ToUnixMicros(order.created_at));
  }
  return Ids(transaction.Run(kInsert, Array(users), Array(ids), Array(keys), postgres::ByteArray(hashes), Array(skus),
                             Array(quantities), Array(prices), Array(currencies), Array(totals), Array(methods),
                             Array(times)));
}

// Applies the candidates; returns those that took effect. A lost or stale one leaves `candidate` as it was only where
// its saga was ended here, see Apply.
std::vector<std::size_t> ApplyAll(Transaction& transaction, std::span<const Change> changes,
                                  std::vector<bool>& candidate, const std::string& owner, absl::Duration lease) {
  std::vector<saga::Record> ends;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (candidate[i] && changes[i].saga == Change::Saga::kEnds) ends.push_back(changes[i].record);
  }
  std::set<std::string> ended;
  if (!ends.empty()) {
    for (auto& id : saga::End(transaction, ends)) ended.insert(std::move(id));
  }
  std::vector<std::string> users, ids, reasons, references;
  std::vector<std::int64_t> states, versions, times, refunded, pay_bys;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    // Another owner has the saga, and with it the order.
    if (changes[i].saga == Change::Saga::kEnds && !ended.contains(changes[i].record.id)) candidate[i] = false;
    if (!candidate[i]) continue;
    const Order& order = changes[i].order;
    users.push_back(order.user_id);
    ids.push_back(order.order_id);
    states.push_back(static_cast<int>(order.state));
    versions.push_back(order.version);
    reasons.push_back(order.cancel_reason);
    times.push_back(absl::ToUnixMicros(order.updated_at));
    refunded.push_back(order.refunded);
    references.push_back(order.payment_reference);
    pay_bys.push_back(order.pay_by == absl::InfinitePast() ? 0 : absl::ToUnixSeconds(order.pay_by));
  }
  if (ids.empty()) return {};
  const std::set<std::string> updated =
      Ids(transaction.Run(kUpdate, Array(users), Array(ids), Array(states), Array(versions), Array(reasons),
                          Array(times), Array(refunded), Array(references), Array(pay_bys)));
  std::vector<std::size_t> done;
  std::vector<saga::Record> begins;
  std::vector<events::Event> events;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!candidate[i] || !updated.contains(changes[i].order.order_id)) continue;
    done.push_back(i);
    events.push_back(changes[i].event);
    if (changes[i].saga == Change::Saga::kBegins) begins.push_back(changes[i].record);
    // The order's version serializes them: a refund id cannot have been written since the caller looked.
    if (changes[i].refund.has_value()) {
      const Refund& refund = *changes[i].refund;
      transaction.Defer(kInsertRefund, changes[i].order.user_id, changes[i].order.order_id, refund.refund_id,
                        refund.amount, refund.return_stock);
    }
  }
  if (!begins.empty()) saga::Begin(transaction, begins, owner, lease);
  if (!events.empty()) events::Append(transaction, events);
  return done;
}

}  // namespace

OrderStore::OrderStore(postgres::Options options, std::string saga_owner, absl::Duration saga_lease)
    : session_(std::move(options)), saga_owner_(std::move(saga_owner)), saga_lease_(saga_lease) {}

absl::StatusOr<std::vector<Placed>> OrderStore::Place(std::span<const Placement> placements) {
  // Two requests with one key may meet in one batch: the first is placed, the other finds it.
  std::vector<std::size_t> chosen;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < placements.size(); ++i) {
    if (seen.insert(placements[i].order.order_id).second) chosen.push_back(i);
  }
  std::vector<Placed> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    results.assign(placements.size(), {});
    const std::set<std::string> inserted = Insert(transaction, placements, chosen);
    std::vector<saga::Record> records;
    std::vector<events::Event> events;
    std::vector<bool> placed(placements.size(), false);
    for (std::size_t index : chosen) {
      if (!inserted.contains(placements[index].order.order_id)) continue;
      placed[index] = true;
      records.push_back(placements[index].record);
      events.push_back(placements[index].event);
    }
    if (!records.empty()) {
      saga::Begin(transaction, records, saga_owner_, saga_lease_);
      events::Append(transaction, events);
    }
    if (records.size() == placements.size()) return absl::OkStatus();
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

absl::StatusOr<std::vector<ChangeResult>> OrderStore::Apply(std::span<const Change> changes) {
  // Two changes of one order never share a transaction: the second would not see the first.
  // Of two ends of one saga the newer owner's counts.
  std::unordered_map<std::string_view, std::size_t> chosen;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [it, first] = chosen.emplace(changes[i].order.order_id, i);
    if (!first && changes[i].record.fence > changes[it->second].record.fence) it->second = i;
  }
  std::vector<bool> candidate(changes.size(), false);
  for (const auto& [id, index] : chosen) candidate[index] = true;
  for (;;) {
    std::vector<ChangeResult> results(changes.size(), ChangeResult::kStale);
    bool retry = false;
    const absl::Status status = session_.Transact([&](Transaction& transaction) {
      const std::vector<std::size_t> done = ApplyAll(transaction, changes, candidate, saga_owner_, saga_lease_);
      results.assign(changes.size(), ChangeResult::kStale);
      for (std::size_t i : done) results[i] = ChangeResult::kDone;
      // A saga holds its order, so nobody else should have changed it. Where it happened all the same, its record must
      // stay: the others go without it.
      retry = false;
      for (std::size_t i = 0; i < changes.size(); ++i) {
        if (candidate[i] && changes[i].saga == Change::Saga::kEnds && results[i] == ChangeResult::kStale) {
          candidate[i] = false;
          retry = true;
        }
      }
      return retry ? absl::AbortedError("stale changes left out") : absl::OkStatus();
    });
    if (retry) continue;
    if (!status.ok()) return status;
    return results;
  }
}

absl::StatusOr<std::vector<std::optional<Order>>> OrderStore::Read(std::span<const OrderKey> keys) {
  std::vector<std::string> users, ids;
  for (const OrderKey& key : keys) {
    users.push_back(key.user_id);
    ids.push_back(key.order_id);
  }
  std::vector<std::optional<Order>> results;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const auto found = ReadRows(transaction, users, ids);
    results.assign(keys.size(), std::nullopt);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto it = found.find(keys[i].order_id);
      if (it != found.end() && it->second.user_id == keys[i].user_id) results[i] = it->second;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::optional<Refund>> OrderStore::ReadRefund(const RefundKey& key) {
  std::optional<Refund> refund;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const pqxx::result rows = transaction.Run(kReadRefund, key.order.user_id, key.order.order_id, key.refund_id);
    refund.reset();
    if (!rows.empty()) refund = Refund{key.refund_id, rows[0][0].as<std::int64_t>(), rows[0][1].as<bool>()};
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return refund;
}

absl::StatusOr<std::vector<Order>> OrderStore::List(const ListQuery& query) {
  std::vector<Order> orders;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    orders.clear();
    const pqxx::result rows =
        query.before.has_value() ? transaction.Run(kListNext, query.user_id, query.limit,
                                                   absl::ToUnixMicros(query.before->created_at), query.before->order_id)
                                 : transaction.Run(kListFirst, query.user_id, query.limit);
    for (const auto& row : rows) orders.push_back(FromRow(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return orders;
}

}  // namespace flotilla::order
