// Every table, column and key of the fleet that the checker reads, but for payment's (payment_sql.h). Queries named
// k...Problems answer one text a problem.
#pragma once

namespace flotilla::checker::sql {

// ---- inventory. reservation.state: 1 HELD, 2 CONFIRMED, 3 RELEASED, 4 EXPIRED

inline constexpr char kSkus[] = "SELECT sku, available FROM sku";
inline constexpr char kAvailable[] = "SELECT sku, available FROM sku WHERE sku = ANY($1::text[])";
// Redis: <prefix><sku>} and, of a gate of several segments, <prefix><sku>~1} and so on: integers.
inline constexpr char kStockKeyPrefix[] = "flotilla:stock:{";
inline constexpr char kStockKeySegment[] = "~";
inline constexpr char kStockKeySuffix[] = "}";

inline constexpr char kStockProblems[] = R"(
  WITH taken AS (
    SELECT l.sku, coalesce(sum(l.quantity) FILTER (WHERE r.state = 1), 0) AS held,
           coalesce(sum(l.quantity) FILTER (WHERE r.state = 2), 0) AS confirmed
    FROM reservation r, unnest(r.skus, r.quantities) AS l(sku, quantity) WHERE r.state IN (1, 2) GROUP BY l.sku),
  change AS (SELECT sku, coalesce(sum(delta) FILTER (WHERE reason = 1), 0) AS first,
                    coalesce(sum(delta) FILTER (WHERE reason <> 1), 0) AS later FROM stock_movement GROUP BY sku),
  stock AS (
    SELECT sku, s.available IS NULL AS missing, s.initial, s.adjusted, s.available, s.reserved, s.sold,
           coalesce(t.held, 0) AS held, coalesce(t.confirmed, 0) AS confirmed, coalesce(c.first, 0) AS first,
           coalesce(c.later, 0) AS later
    FROM sku s FULL JOIN taken t USING (sku) FULL JOIN change c USING (sku))
  SELECT 'SKU ' || coalesce(sku, 'NULL') || ': ' || what FROM stock, LATERAL (VALUES
    (missing, 'has reservations or movements but does not exist'),
    (initial::numeric + adjusted <> available::numeric + reserved + sold,
     format('initial %s + adjusted %s is not available %s + reserved %s + sold %s', initial, adjusted, available,
            reserved, sold)),
    (least(available, reserved, sold) < 0,
     format('negative: available %s, reserved %s, sold %s', available, reserved, sold)),
    (initial <> first, format('initial is %s, its first movement %s', initial, first)),
    (adjusted <> later, format('adjusted is %s, its other movements come to %s', adjusted, later)),
    (reserved <> held, format('reserved is %s, its holds come to %s', reserved, held)),
    (sold <> confirmed, format('sold is %s, its confirmed reservations come to %s', sold, confirmed))
  ) AS problem(bad, what) WHERE bad)";

inline constexpr char kReservationProblems[] = R"(
  SELECT format('reservation %s: malformed lines', order_id) FROM reservation
  WHERE state IN (1, 2) AND (cardinality(skus) = 0 OR cardinality(skus) <> cardinality(quantities)
                             OR cardinality(skus) <> cardinality(unit_prices) OR 0 >= ANY (quantities)))";

// A purchase is a line of a live reservation of its user. The limits that stood when a user's purchases were made may
// differ, and units may have been given back since, but the sum never exceeds the largest of them.
inline constexpr char kPurchaseProblems[] = R"(
  WITH line AS (
    SELECT r.order_id, r.limited_user AS user_id, l.sku, l.units
    FROM reservation r, unnest(r.skus, r.quantities) AS l(sku, units) WHERE r.state IN (1, 2) AND r.limited_user <> '')
  SELECT format('purchase of %s units of %s by %s in order %s: is no line of a live reservation', p.units, p.sku,
                p.user_id, p.order_id)
  FROM purchase p LEFT JOIN line l USING (order_id, user_id, sku, units) WHERE l.order_id IS NULL
  UNION ALL
  SELECT format('reservation %s: counts for user %s, who has no purchase by it', order_id, user_id)
  FROM line LEFT JOIN purchase p USING (order_id, user_id) GROUP BY order_id, user_id HAVING count(p.order_id) = 0
  UNION ALL
  SELECT format('user %s has %s units of %s, the limit was %s', user_id, sum(units), sku, max(user_limit))
  FROM purchase GROUP BY sku, user_id HAVING sum(units) > max(user_limit))";

// The events of a SKU are numbered without a gap, from the first one that the log still has up to the number its row
// knows.
inline constexpr char kStockEventProblems[] = R"(
  SELECT format('SKU %s: has %s events up to %s, its row tells of %s', sku, e.events, e.last, s.low_stock_events)
  FROM sku s FULL JOIN (
    SELECT stream_id AS sku, count(*) AS events, min(sequence) AS first, max(sequence) AS last
    FROM event GROUP BY stream_id) e USING (sku)
  CROSS JOIN (SELECT EXISTS (SELECT FROM event_part WHERE dropped_at IS NOT NULL) AS cut) log
  WHERE CASE WHEN e.events IS NULL THEN s.low_stock_events > 0 AND NOT cut
             ELSE (e.last, e.last - e.first + 1) IS DISTINCT FROM (s.low_stock_events, e.events)
                  OR e.first > 1 AND NOT cut END)";

inline constexpr char kReservations[] =
    "SELECT order_id, state, skus, quantities, unit_prices, currency FROM reservation";

// ---- order. orders.state: 1 RESERVED, 2 PAID, 3 CANCELLED, 4 CANCELLING, 5 AWAITING_PAYMENT, 6 REFUNDING, 7 REFUNDED,
// 8 PARTIALLY_REFUNDED; saga.direction: 0 forward, 1 compensating, 2 parked

// The last two: whether its first events, and whether all of them, may have gone with a part of the log that was
// dropped. Orders have the service's clock, parts the database's.
inline constexpr char kOrders[] = R"(
  WITH log AS (SELECT max(ends_at) + interval '1 minute' AS begins FROM event_part WHERE dropped_at IS NOT NULL)
  SELECT order_id, user_id, idempotency_key, state, skus, quantities, unit_prices, currency, total, cancel_reason,
         version, refunded, coalesce(created_at < begins, false), coalesce(updated_at < begins, false)
  FROM orders CROSS JOIN log)";
inline constexpr char kEvents[] =
    "SELECT stream_id, sequence, event_id, type, data FROM event ORDER BY stream_id, sequence";
inline constexpr char kSagas[] = "SELECT id::text, type, direction FROM saga";

inline constexpr char kKeyProblems[] = R"(
  SELECT format('user %s, key %s: %s orders', user_id, idempotency_key, count(*)) FROM orders
  GROUP BY user_id, idempotency_key HAVING count(*) > 1)";

// ---- notify

// Of orders. Ids of other services' events begin with the service and a colon.
inline constexpr char kHandledEvents[] = "SELECT event_id FROM handled_event WHERE event_id NOT LIKE '%:%'";
inline constexpr char kNotifications[] = "SELECT event_id, user_id FROM notification WHERE event_id NOT LIKE '%:%'";

// Of another service; the pattern of its ids follows.
inline constexpr char kHandledSourceEvents[] = "SELECT event_id FROM handled_event WHERE event_id LIKE ";
inline constexpr char kSourceNotifications[] = "SELECT event_id FROM notification WHERE event_id LIKE ";
// In the service's own database, with whether somebody is told.
inline constexpr char kSourceEvents[] =
    "SELECT event_id, type IN ('stock.low', 'payment.late_refunded', 'payment.conflict', 'payment.wrong_amount', "
    "'reconciliation.differences') "
    "FROM event";
inline constexpr char kLogIsCut[] = "SELECT count(*) FROM event_part WHERE dropped_at IS NOT NULL";

inline constexpr char kNotificationProblems[] = R"(
  SELECT format('user %s: notifications %s to %s, %s of them', user_id, min(sequence), max(sequence), count(*))
  FROM notification GROUP BY user_id
  HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT sequence) <> count(*))";

}  // namespace flotilla::checker::sql
