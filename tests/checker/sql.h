// Every table, column and key of the fleet that the checker reads. Queries named k...Problems answer one text a
// problem.
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

// The events of a SKU are numbered without a gap, up to the number its row knows.
inline constexpr char kStockEventProblems[] = R"(
  SELECT format('SKU %s: has %s events up to %s, its row tells of %s', sku, e.events, e.last, s.low_stock_events)
  FROM sku s FULL JOIN (
    SELECT stream_id AS sku, count(*) AS events, max(sequence) AS last FROM event GROUP BY stream_id) e USING (sku)
  WHERE (coalesce(e.events, 0), coalesce(e.last, 0))
        IS DISTINCT FROM (s.low_stock_events, s.low_stock_events))";

inline constexpr char kReservations[] =
    "SELECT order_id, state, skus, quantities, unit_prices, currency FROM reservation";

// ---- payment. account.kind: 1 wallet, 2 escrow, 3 world, 4 hold, 5 merchant, 6 platform, 7 provider; transfer.kind: 1
// deposit, 2 charge, 3 refund, 4 authorize, 5 capture, 6 release, 7 external, 8 settle, 9 fee, 10 merchant refund, 11
// fee refund, 12 correction; charge.state: 1 charged, 2 refused, 3 refunded, 4 voided, 5 authorized, 6 awaiting, 7
// expired. A transfer lowers the debited account's balance.

inline constexpr char kCurrencyProblems[] = R"(
  SELECT format('%s: balances add up to %s', currency, sum(balance)) FROM account
  GROUP BY currency HAVING sum(balance) <> 0)";

inline constexpr char kAccountProblems[] = R"(
  WITH entry AS (
    SELECT account_id, sum(amount) AS total FROM (
      SELECT debit_account AS account_id, -amount AS amount FROM transfer
      UNION ALL SELECT credit_account, amount FROM transfer) e GROUP BY account_id)
  SELECT format('account %s: ', account_id) || what
  FROM account a FULL JOIN entry e USING (account_id), LATERAL (VALUES
    (a.balance IS NULL, format('does not exist but moved %s', e.total)),
    (a.balance <> coalesce(e.total, 0), format('balance is %s, its transfers come to %s', a.balance, coalesce(e.total, 0))),
    (a.balance < 0 AND NOT a.may_go_negative, format('balance is %s', a.balance))
  ) AS problem(bad, what) WHERE bad)";

inline constexpr char kTransferProblems[] = R"(
  SELECT format('transfer %s: ', t.transfer_id) || what
  FROM transfer t
  LEFT JOIN account d ON d.account_id = t.debit_account
  LEFT JOIN account c ON c.account_id = t.credit_account, LATERAL (VALUES
    (t.amount <= 0, format('amount is %s', t.amount)),
    (t.debit_account = t.credit_account, 'debits and credits one account'),
    (d.currency <> t.currency OR c.currency <> t.currency,
     format('%s moved between accounts in %s and %s', t.currency, d.currency, c.currency))
  ) AS problem(bad, what) WHERE bad)";

// The kinds of the accounts that each kind of transfer goes between; 0: the payer's, wallet or provider.
inline constexpr char kCauseProblems[] = R"(
  SELECT format('transfer %s: kind %s goes from an account of kind %s to one of kind %s', t.transfer_id, t.kind, d.kind, c.kind)
  FROM transfer t
  JOIN account d ON d.account_id = t.debit_account
  JOIN account c ON c.account_id = t.credit_account
  LEFT JOIN (VALUES (1, 3, 1), (2, 1, 2), (3, 2, 0), (4, 1, 4), (5, 4, 2), (6, 4, 1), (7, 7, 2), (8, 2, 5), (9, 2, 6),
                    (10, 5, 0), (11, 6, 0), (12, 3, 7), (12, 7, 3)) AS way(kind, debit, credit)
    ON way.kind = t.kind AND way.debit = d.kind
       AND (way.credit = c.kind OR way.credit = 0 AND c.kind IN (1, 7))
  WHERE way.kind IS NULL)";

// Every deposit is one transfer, and the other way round.
inline constexpr char kDepositProblems[] = R"(
  SELECT format('deposit %s: is not its transfer %s', coalesce(p.deposit_id, t.reference), t.transfer_id)
  FROM deposit p
  FULL JOIN (SELECT * FROM transfer WHERE kind = 1) t USING (transfer_id)
  LEFT JOIN account c ON c.account_id = t.credit_account
  WHERE (t.reference, t.amount, t.currency, c.owner) IS DISTINCT FROM (p.deposit_id, p.amount, p.currency, p.user_id))";

// What each charge says of itself is what its transfers come to, kind by kind, and its refunds.
inline constexpr char kChargeProblems[] = R"(
  WITH moved AS (
    SELECT reference, min(currency) AS currency, count(DISTINCT currency) AS currencies,
           count(*) FILTER (WHERE kind IN (2, 4, 7)) AS takes,
           coalesce(sum(amount) FILTER (WHERE kind = 2), 0) AS charged,
           coalesce(sum(amount) FILTER (WHERE kind = 4), 0) AS authorized,
           coalesce(sum(amount) FILTER (WHERE kind = 5), 0) AS captured,
           coalesce(sum(amount) FILTER (WHERE kind = 6), 0) AS released,
           coalesce(sum(amount) FILTER (WHERE kind = 7), 0) AS external,
           coalesce(sum(amount) FILTER (WHERE kind IN (8, 9)), 0) AS settled,
           coalesce(sum(amount) FILTER (WHERE kind = 9), 0) AS fee,
           coalesce(sum(amount) FILTER (WHERE kind IN (3, 10, 11)), 0) AS refunded,
           coalesce(sum(amount) FILTER (WHERE kind = 11), 0) AS fee_refunded,
           min(credit_account) FILTER (WHERE kind IN (3, 6, 10, 11)) AS back_to,
           max(credit_account) FILTER (WHERE kind IN (3, 6, 10, 11)) AS also_back_to
    FROM transfer WHERE kind NOT IN (1, 12) GROUP BY reference),
  given_back AS (SELECT order_id, sum(amount) AS amount FROM refund GROUP BY order_id)
  SELECT format('charge of order %s: ', coalesce(c.order_id::text, m.reference)) || what
  FROM charge c
  FULL JOIN moved m ON m.reference = c.order_id::text
  LEFT JOIN given_back g ON g.order_id = c.order_id
  LEFT JOIN transfer t ON t.transfer_id = c.transfer_id
  LEFT JOIN account p ON p.account_id = t.debit_account, LATERAL (VALUES
    (c.order_id IS NULL, 'does not exist but money moved for it'),
    (m.currencies > 1 OR m.currency <> c.currency, 'money moved for it in another currency'),
    (m.takes > 1, 'was taken more than once'),
    (c.state IN (2, 6) AND m.reference IS NOT NULL, 'money moved though nothing was taken'),
    (c.state = 4 AND c.user_id IS NULL AND m.reference IS NOT NULL, 'is a tombstone but money moved'),
    (c.transfer_id IS NOT NULL AND (t.reference IS DISTINCT FROM c.order_id::text OR t.kind NOT IN (2, 4, 7)
                                    OR t.amount <> c.amount),
     'its transfer is not what was asked for'),
    (p.kind = 1 AND p.owner <> c.user_id OR p.kind <> CASE c.method WHEN 1 THEN 1 ELSE 7 END,
     'somebody else paid it'),
    (m.back_to <> t.debit_account OR m.also_back_to <> t.debit_account, 'went back to somebody else'),
    (c.state IN (1, 3, 5) AND t.transfer_id IS NULL, 'its transfer does not exist'),
    (c.captured <> coalesce(m.charged + m.captured + m.external, 0),
     format('captured is %s, its transfers come to %s', c.captured, coalesce(m.charged + m.captured + m.external, 0))),
    (coalesce(m.authorized, 0) <> coalesce(m.captured + m.released, 0) + CASE c.state WHEN 5 THEN c.amount ELSE 0 END,
     format('%s was held, %s captured, %s released', m.authorized, m.captured, m.released)),
    (c.refunded <> coalesce(m.refunded, 0),
     format('refunded is %s, its transfers come to %s', c.refunded, coalesce(m.refunded, 0))),
    (c.refunded <> coalesce(g.amount, 0),
     format('refunded is %s, its refunds come to %s', c.refunded, coalesce(g.amount, 0))),
    (c.refunded > c.captured, format('%s refunded of %s captured', c.refunded, c.captured)),
    ((c.settled, c.fee, c.fee_refunded) <> (coalesce(m.settled, 0), coalesce(m.fee, 0), coalesce(m.fee_refunded, 0)),
     format('settled %s with fee %s of which %s went back, its transfers come to %s, %s and %s', c.settled, c.fee,
            c.fee_refunded, m.settled, m.fee, m.fee_refunded))
  ) AS problem(bad, what) WHERE bad)";

inline constexpr char kTransferCount[] = "SELECT count(*) FROM transfer";
inline constexpr char kCharges[] = "SELECT order_id, state, user_id, amount, currency, refunded FROM charge";

// ---- order. orders.state: 1 RESERVED, 2 PAID, 3 CANCELLED, 4 CANCELLING, 5 AWAITING_PAYMENT, 6 REFUNDING, 7 REFUNDED,
// 8 PARTIALLY_REFUNDED; saga.direction: 0 forward, 1 compensating, 2 parked

inline constexpr char kOrders[] =
    "SELECT order_id, user_id, idempotency_key, state, skus, quantities, unit_prices, currency, total, cancel_reason,"
    " version, refunded FROM orders";
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
    "SELECT event_id, type IN ('stock.low', 'payment.late_refunded', 'payment.conflict', 'reconciliation.differences') "
    "FROM event";

inline constexpr char kNotificationProblems[] = R"(
  SELECT format('user %s: notifications %s to %s, %s of them', user_id, min(sequence), max(sequence), count(*))
  FROM notification GROUP BY user_id
  HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT sequence) <> count(*))";

}  // namespace flotilla::checker::sql
