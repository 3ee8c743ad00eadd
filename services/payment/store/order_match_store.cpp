#include "payment/store/order_match_store.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "payment/store/reconciliation_lock.h"
#include "payment/store/rows.h"

namespace flotilla::payment {
namespace {

using Sql = postgres::Statement;
using postgres::Transaction;
using Wait = MatchPlan::Wait;

const Sql kClaim = {"claim_order_match", R"(
    UPDATE order_match_cursor SET lease_until = clock_timestamp() + interval '30 seconds'
    WHERE lease_until < clock_timestamp() RETURNING xid::text, transfer_id, order_token)"};

// Whatever takes money from the payer or gives it back. Stops at the first one that is too young, as the settlement.
const Sql kNews = {"order_match_news", R"(
    SELECT t.xid::text, t.transfer_id, t.created_at <= now() - make_interval(secs => $3::float8),
           CASE WHEN t.kind IN (2, 3, 5, 7, 10, 11) THEN t.reference END
    FROM transfer t
    WHERE (t.xid, t.transfer_id) > ($1::xid8, $2::bigint) AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY t.xid, t.transfer_id LIMIT $4::int)"};

const Sql kAdvance = {"advance_order_match", R"(
    UPDATE order_match_cursor SET xid = $4::xid8, transfer_id = $5::bigint, order_token = $6, lease_until = '-infinity'
    WHERE (xid, transfer_id, order_token) = ($1::xid8, $2::bigint, $3))"};
const Sql kFree = {"free_order_match", "UPDATE order_match_cursor SET lease_until = '-infinity'"};

const Sql kRead = {"read_kept_money", R"(
    SELECT order_id, user_id, currency, captured, refunded, provider_reference FROM charge
    WHERE order_id = ANY($1::uuid[]))"};

#define LOOKS                                                                                              \
  "unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bpchar[], $7::bigint[])" \
  " AS i(order_id, user_id, class, theirs, ours, currency, look_us)"
const Sql kWait = {"wait_for_order", R"(
    INSERT INTO order_look (order_id, user_id, class, theirs, ours, currency, look_at)
    SELECT order_id, user_id, nullif(class, 0), CASE WHEN class > 0 THEN theirs END, CASE WHEN class > 0 THEN ours END,
           CASE WHEN class > 0 THEN currency END, 'epoch'::timestamptz + look_us * interval '1 microsecond'
    FROM )" LOOKS R"( ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING)"};
const Sql kWaitOn = {"wait_on_for_order", R"(
    UPDATE order_look l
    SET class = nullif(i.class, 0), theirs = CASE WHEN i.class > 0 THEN i.theirs END,
        ours = CASE WHEN i.class > 0 THEN i.ours END, currency = CASE WHEN i.class > 0 THEN i.currency END,
        looks = l.looks + 1, look_at = 'epoch'::timestamptz + i.look_us * interval '1 microsecond'
    FROM )" LOOKS " WHERE l.order_id = i.order_id"};
#undef LOOKS

const Sql kClaimLooks = {"claim_order_looks", R"(
    WITH turn AS MATERIALIZED (
      SELECT order_id FROM order_look WHERE look_at <= 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
      ORDER BY look_at LIMIT $1::int FOR UPDATE SKIP LOCKED)
    UPDATE order_look l SET look_at = 'epoch'::timestamptz + $2::bigint * interval '1 microsecond' + interval '30 seconds'
    FROM turn WHERE l.order_id = turn.order_id
    RETURNING l.order_id, l.user_id, l.looks, (extract(epoch FROM l.since) * 1000000)::bigint, l.class, l.theirs, l.ours,
              l.currency,
              EXISTS (SELECT 1 FROM difference d
                      WHERE d.order_id = l.order_id AND d.state = 4
                        AND (d.class, d.theirs, d.ours, d.currency) = (l.class, l.theirs, l.ours, l.currency)))"};

const Sql kEndLooks = {"end_order_looks", "DELETE FROM order_look WHERE order_id = ANY($1::uuid[])"};
const Sql kAgreed = {"orders_agreed", R"(
    UPDATE difference SET state = 2, closed_at = now() WHERE order_id = ANY($1::uuid[]) AND state = 1)"};

// What was open and is otherwise now; then what is new.
#define CONFIRMED                                                                \
  "unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bpchar[])" \
  " AS i(order_id, class, theirs, ours, currency)"
const Sql kChanged = {"change_order_differences", R"(
    UPDATE difference d SET state = 2, closed_at = now()
    FROM )" CONFIRMED R"(
    WHERE d.order_id = i.order_id AND d.state = 1
      AND (d.class, d.theirs, d.ours, d.currency) IS DISTINCT FROM (i.class, i.theirs, i.ours, i.currency))"};
#undef CONFIRMED
const Sql kTell = {"insert_order_differences", R"(
    INSERT INTO difference (order_id, class, theirs, ours, currency, provider_reference, kind)
    SELECT order_id, class, theirs, ours, currency, reference, 1
    FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bpchar[], $6::text[])
      AS i(order_id, class, theirs, ours, currency, reference)
    WHERE NOT EXISTS (SELECT 1 FROM difference d WHERE d.order_id = i.order_id AND d.state = 1))"};

// Columns of waits; zeros where nothing is suspected.
template <class Get>
postgres::Parameter Number(const std::vector<Wait>& waits, Get get) {
  return NumberColumn(waits, [&](const Wait& w) {
    return w.look.suspected.has_value() ? static_cast<std::int64_t>(get(*w.look.suspected)) : 0;
  });
}
postgres::Parameter OrderIds(const std::vector<Wait>& waits) {
  return TextColumn(waits, [](const Wait& w) -> std::string_view { return w.look.order_id; });
}
postgres::Parameter Classes(const std::vector<Wait>& waits) {
  return Number(waits, [](const Mismatch& m) { return m.kind_of; });
}
postgres::Parameter Theirs(const std::vector<Wait>& waits) {
  return Number(waits, [](const Mismatch& m) { return m.theirs; });
}
postgres::Parameter Ours(const std::vector<Wait>& waits) {
  return Number(waits, [](const Mismatch& m) { return m.ours; });
}
postgres::Parameter Currencies(const std::vector<Wait>& waits) {
  return TextColumn(waits, [](const Wait& w) -> std::string_view {
    return w.look.suspected.has_value() ? std::string_view(w.look.suspected->currency) : "";
  });
}

void Defer(Transaction& transaction, const Sql& sql, const std::vector<Wait>& waits) {
  if (waits.empty()) return;
  transaction.Defer(sql, OrderIds(waits),
                    TextColumn(waits, [](const Wait& w) -> std::string_view { return w.look.user_id; }), Classes(waits),
                    Theirs(waits), Ours(waits), Currencies(waits),
                    NumberColumn(waits, [](const Wait& w) { return absl::ToUnixMicros(w.look_at); }));
}

OrderLook LookOf(const postgres::Row& row) {
  OrderLook look{.order_id = row[0].c_str(),
                 .user_id = row[1].c_str(),
                 .looks = row[2].as<int>(),
                 .dismissed = row[8].as<bool>(),
                 .since = absl::FromUnixMicros(row[3].as<std::int64_t>())};
  if (!row[4].is_null()) {
    look.suspected = Mismatch{static_cast<DifferenceClass>(row[4].as<int>()), row[5].as<std::int64_t>(),
                              row[6].as<std::int64_t>(), row[7].c_str()};
  }
  return look;
}

}  // namespace

OrderMatchStore::OrderMatchStore(postgres::Options options)
    : session_(postgres::Named(std::move(options), "order match")) {}

absl::StatusOr<OrderMatchStore::News> OrderMatchStore::Claim(absl::Duration age, int limit) {
  News news;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    news = {};
    const postgres::Rows cursor = transaction.Run(kClaim);
    if (cursor.empty()) return absl::OkStatus();
    news.from = {cursor[0][0].c_str(), cursor[0][1].as<std::int64_t>(), cursor[0][2].c_str()};
    news.next = news.from;
    for (const auto& row :
         transaction.Run(kNews, news.from.xid, news.from.transfer_id, absl::ToDoubleSeconds(age), limit)) {
      if (!row[2].as<bool>()) break;
      news.next.xid = row[0].c_str();
      news.next.transfer_id = row[1].as<std::int64_t>();
      if (!row[3].is_null()) news.order_ids.emplace_back(row[3].c_str());
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return news;
}

absl::Status OrderMatchStore::Advance(const Cursor& from, const Cursor& next, const MatchPlan& plan) {
  return session_.Transact([&](Transaction& transaction) {
    Defer(transaction, kWait, plan.wait);
    transaction.Defer(kAdvance, from.xid, from.transfer_id, from.order_token, next.xid, next.transfer_id,
                      next.order_token);
    return absl::OkStatus();
  });
}

absl::Status OrderMatchStore::Free() {
  return session_.Transact([](Transaction& transaction) {
    transaction.Defer(kFree);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<OrderMatchStore::Kept>> OrderMatchStore::Read(std::span<const std::string> order_ids) {
  std::vector<Kept> kept;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    absl::flat_hash_map<std::string, Kept> found;
    for (const auto& row : transaction.Run(kRead, postgres::Array(order_ids))) {
      found[row[0].c_str()] = {.money = {.currency = row[2].c_str(),
                                         .captured = row[3].as<std::int64_t>(),
                                         .refunded = row[4].as<std::int64_t>(),
                                         .reference = row[5].c_str()},
                               .user_id = row[1].c_str()};
    }
    kept.clear();
    for (const std::string& id : order_ids) kept.push_back(found[id]);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return kept;
}

absl::StatusOr<std::vector<OrderLook>> OrderMatchStore::ClaimLooks(absl::Time now, int limit) {
  std::vector<OrderLook> looks;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    looks.clear();
    for (const auto& row : transaction.Run(kClaimLooks, limit, absl::ToUnixMicros(now))) looks.push_back(LookOf(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return looks;
}

absl::StatusOr<std::int64_t> OrderMatchStore::Keep(const MatchPlan& plan) {
  std::vector<Wait> confirmed;
  for (const Wait& wait : plan.wait) {
    if (wait.confirmed) confirmed.push_back(wait);
  }
  std::int64_t added = 0;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    added = 0;
    // An operator may be deciding about one of them.
    if (!plan.over.empty() || !confirmed.empty()) LockReconciliation(transaction);
    Defer(transaction, kWaitOn, plan.wait);
    if (!plan.over.empty()) {
      transaction.Defer(kEndLooks, postgres::Array(plan.over));
      transaction.Defer(kAgreed, postgres::Array(plan.over));
    }
    if (confirmed.empty()) return absl::OkStatus();
    transaction.Defer(kChanged, OrderIds(confirmed), Classes(confirmed), Theirs(confirmed), Ours(confirmed),
                      Currencies(confirmed));
    const auto told = transaction.Run(
        kTell, OrderIds(confirmed), Classes(confirmed), Theirs(confirmed), Ours(confirmed), Currencies(confirmed),
        TextColumn(confirmed, [](const Wait& w) -> std::string_view { return w.reference; }));
    added = static_cast<std::int64_t>(told.affected_rows());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return added;
}

}  // namespace flotilla::payment
