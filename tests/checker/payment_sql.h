// Every table and column of payment's database that the checker reads. Queries named k...Problems answer one text a
// problem.
#pragma once

namespace flotilla::checker::sql {

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
           coalesce(sum(amount) FILTER (WHERE kind = 3), 0) AS before_settlement,
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
            c.fee_refunded, m.settled, m.fee, m.fee_refunded)),
    (c.settled > 0 AND c.captured <> m.before_settlement + c.settled,
     format('of %s captured %s were settled and %s given back from escrow', c.captured, c.settled, m.before_settlement)),
    (c.settled > 0 AND c.fee_refunded <> div(c.fee::numeric * (c.refunded - (c.captured - c.settled)), c.settled),
     format('of its fee %s went back for %s of %s', c.fee_refunded, c.refunded - (c.captured - c.settled), c.settled))
  ) AS problem(bad, what) WHERE bad)";

// The settlement leaves nothing behind its cursor but what waits for its order.
inline constexpr char kSettlementProblems[] = R"(
  SELECT format('charge of order %s: the settlement passed it over', c.order_id)
  FROM settlement_cursor s
  JOIN transfer t ON (t.xid, t.transfer_id) <= (s.xid, s.transfer_id) AND t.kind IN (2, 5, 7)
  JOIN charge c ON c.order_id::text = t.reference
  WHERE c.state = 1 AND c.settled = 0 AND NOT EXISTS (SELECT FROM settlement_wait w WHERE w.order_id = c.order_id))";

// The blocks of the hash chain follow each other, and each covers as many transfers as it says. Their hashes are for
// LedgerService.VerifyJournal.
inline constexpr char kJournalProblems[] = R"(
  SELECT format('block %s of the journal: ', b.number) || what
  FROM (SELECT *, lag(number, 1, 0::bigint) OVER w AS number_before, lag(xid, 1, '0'::xid8) OVER w AS xid_before,
               lag(transfer_id, 1, 0::bigint) OVER w AS transfer_before
        FROM journal_block WINDOW w AS (ORDER BY number)) b,
  LATERAL (SELECT count(*) AS covered FROM transfer t
           WHERE (t.xid, t.transfer_id) > (b.xid_before, b.transfer_before)
             AND (t.xid, t.transfer_id) <= (b.xid, b.transfer_id)) t,
  LATERAL (VALUES
    (b.number <> b.number_before + 1, format('follows %s', b.number_before)),
    (b.transfers <> t.covered, format('was made of %s transfers, there are %s', b.transfers, t.covered))
  ) AS problem(bad, what) WHERE bad)";

// What the provider said is what became of the payments, and every notice is numbered, from the first one that the log
// still has.
inline constexpr char kProviderProblems[] = R"(
  WITH word AS (
    SELECT order_id, bool_or(succeeded) AS succeeded, bool_or(NOT succeeded) AS failed, min(amount) AS amount,
           max(amount) AS largest, min(currency) AS currency
    FROM provider_event GROUP BY order_id),
  told AS (
    SELECT stream_id, count(*) AS events, min(sequence) AS first, max(sequence) AS last FROM event
    WHERE type LIKE 'payment.%' GROUP BY stream_id),
  log AS (SELECT EXISTS (SELECT FROM event_part WHERE dropped_at IS NOT NULL) AS cut)
  SELECT format('payment of order %s: ', coalesce(c.order_id::text, w.order_id::text, e.stream_id)) || what
  FROM charge c
  FULL JOIN word w ON w.order_id = c.order_id
  FULL JOIN told e ON e.stream_id = coalesce(c.order_id, w.order_id)::text
  CROSS JOIN log, LATERAL (VALUES
    (w.order_id IS NOT NULL AND c.method IS DISTINCT FROM 2, 'the provider spoke of it, but was not asked'),
    (c.method = 2 AND (w.amount <> c.amount OR w.largest <> c.amount OR w.currency <> c.currency),
     'the provider spoke of another amount'),
    (c.method = 2 AND c.state IN (1, 3) AND w.succeeded IS NOT true, 'is paid, but the provider never said so'),
    (c.method = 2 AND c.state = 2 AND w.failed IS NOT true, 'is refused, but the provider never said so'),
    (c.method = 2 AND c.state IN (4, 6, 7) AND w.succeeded, 'the provider said it was paid, and nothing followed'),
    (CASE WHEN e.events IS NULL THEN c.event_count > 0 AND NOT cut
          ELSE (e.last, e.last - e.first + 1) <> (coalesce(c.event_count, 0), e.events) OR e.first > 1 AND NOT cut END,
     format('%s events up to %s, its charge tells of %s', coalesce(e.events, 0), coalesce(e.last, 0), c.event_count))
  ) AS problem(bad, what) WHERE bad)";

// An operator's correction is the transfer of exactly one difference, of its amount and in its direction, and a
// corrected difference has its transfer. A provider that did more than the ledger knows owes more (charge) or less
// (refund).
inline constexpr char kCorrectionProblems[] = R"(
  WITH correction AS (SELECT * FROM transfer WHERE kind = 12),
  corrected AS (
    SELECT *, (theirs - ours) * CASE kind WHEN 1 THEN 1 ELSE -1 END AS owed_more, count(*) OVER (PARTITION BY correction_id)
      AS sharing
    FROM difference WHERE correction_id IS NOT NULL)
  SELECT CASE WHEN d.difference_id IS NULL THEN format('correction %s: ', t.transfer_id)
              ELSE format('difference %s: ', d.difference_id) END || what
  FROM corrected d
  FULL JOIN correction t ON t.transfer_id = d.correction_id
  LEFT JOIN account a ON a.account_id = t.debit_account, LATERAL (VALUES
    (d.difference_id IS NULL, 'belongs to no difference'),
    (t.transfer_id IS NULL, format('its correction %s does not exist', d.correction_id)),
    (d.sharing > 1, format('shares its correction %s', d.correction_id)),
    (d.state <> 3, 'has a correction but is not corrected'),
    (t.reference <> d.difference_id::text, format('its correction is for %s', t.reference)),
    (t.amount <> abs(d.owed_more) OR t.currency <> d.currency,
     format('is about %s %s, its correction %s %s', abs(d.owed_more), d.currency, t.amount, t.currency)),
    (a.kind <> CASE WHEN d.owed_more > 0 THEN 7 ELSE 3 END, 'its correction goes the wrong way')
  ) AS problem(bad, what) WHERE bad
  UNION ALL
  SELECT format('difference %s: is corrected without a transfer', difference_id) FROM difference
  WHERE state = 3 AND correction_id IS NULL)";

// A statement has all its lines; a matched line is the ledger's charge or refund of the same payment and amount, which
// no other line and no difference that stands has; a line that is not matched has a difference that stands, once it was
// compared; what the ledger has in the period of a compared statement has a line or a difference that stands; a closed
// statement has no open one; a withdrawn one has neither matches nor differences.
inline constexpr char kStatementProblems[] = R"(
  WITH entry AS (
    SELECT t.transfer_id, c.provider_reference, 1 AS kind, t.amount, t.currency, t.created_at
    FROM transfer t JOIN charge c ON c.order_id::text = t.reference WHERE t.kind = 7
    UNION ALL
    SELECT r.transfer_id, c.provider_reference, 2, r.amount, r.currency, r.created_at
    FROM refund r JOIN charge c ON c.order_id = r.order_id WHERE c.method = 2),
  standing AS (SELECT * FROM difference WHERE state <> 2),
  line AS (
    SELECT l.*, s.reconciled_at, s.state, count(d.difference_id) AS differences, min(d.theirs) AS theirs, max(d.theirs) AS most,
           count(*) FILTER (WHERE d.provider_reference <> l.provider_reference OR d.kind <> l.kind OR d.currency <> l.currency)
             AS others
    FROM statement_line l LEFT JOIN provider_statement s USING (statement_id)
    LEFT JOIN standing d USING (statement_id, line)
    GROUP BY l.statement_id, l.line, l.provider_reference, l.kind, l.amount, l.currency, l.occurred_at, l.transfer_id,
             s.reconciled_at, s.state)
  SELECT format('line %s of statement %s: ', l.line, l.statement_id) || what
  FROM line l LEFT JOIN entry e USING (transfer_id), LATERAL (VALUES
    (l.transfer_id IS NOT NULL AND (e.provider_reference, e.kind, e.amount, e.currency)
       IS DISTINCT FROM (l.provider_reference, l.kind, l.amount, l.currency),
     format('is not what it was matched with, transfer %s', l.transfer_id)),
    (l.transfer_id IS NOT NULL AND l.differences > 0, 'is matched and has a difference'),
    (l.state = 3 AND (l.transfer_id IS NOT NULL OR l.differences > 0),
     'is of a withdrawn statement, but has a match or a difference'),
    (l.transfer_id IS NULL AND l.reconciled_at IS NOT NULL AND l.state <> 3 AND l.differences <> 1,
     format('is not matched and has %s differences', l.differences)),
    (l.differences > 0 AND (l.theirs <> l.amount OR l.most <> l.amount OR l.others > 0), 'its difference is about another line')
  ) AS problem(bad, what) WHERE bad
  UNION ALL
  SELECT format('statement %s: ', coalesce(s.statement_id, l.statement_id)) || what
  FROM provider_statement s
  FULL JOIN (SELECT statement_id, count(*) AS lines FROM statement_line GROUP BY statement_id) l USING (statement_id)
  LEFT JOIN (SELECT statement_id, count(*) AS open FROM difference WHERE state = 1 GROUP BY statement_id) d
    USING (statement_id), LATERAL (VALUES
    (coalesce(s.lines, 0) <> coalesce(l.lines, 0), format('has %s lines of %s', coalesce(l.lines, 0), s.lines)),
    (s.state = 2 AND d.open > 0, format('is closed with %s open differences', d.open))
  ) AS problem(bad, what) WHERE bad
  UNION ALL
  SELECT format('transfer %s: statement %s has neither a line nor a difference for it', e.transfer_id, s.statement_id)
  FROM provider_statement s
  JOIN entry e ON e.created_at >= s.period_start AND e.created_at < s.period_end
  LEFT JOIN (SELECT transfer_id FROM statement_line UNION SELECT transfer_id FROM standing) known USING (transfer_id)
  WHERE (s.state = 2 OR s.state = 1 AND s.attempts = 0 AND s.attempted_at IS NOT NULL) AND known.transfer_id IS NULL
  UNION ALL
  -- What is missing there may come in a later statement.
  SELECT format('transfer %s: %s lines and differences of statements have it', transfer_id, count(*)) FROM (
    SELECT transfer_id FROM statement_line WHERE transfer_id IS NOT NULL
    UNION ALL SELECT transfer_id FROM standing WHERE transfer_id IS NOT NULL AND (class <> 2 OR state = 3)) had
  GROUP BY transfer_id HAVING count(*) > 1)";

// What the ledger did for each call on a payment: order, op, refund id, amount, who paid. A void's is all that was
// released.
inline constexpr char kMoneyEffects[] = R"(
  SELECT t.reference, CASE t.kind WHEN 2 THEN 'charge' WHEN 4 THEN 'authorize' WHEN 5 THEN 'capture' ELSE 'void' END,
         '', sum(t.amount)::bigint, CASE WHEN t.kind IN (2, 4) THEN min(d.owner) ELSE '' END
  FROM transfer t JOIN account d ON d.account_id = t.debit_account WHERE t.kind IN (2, 4, 5, 6)
  GROUP BY t.reference, t.kind
  UNION ALL SELECT order_id::text, 'refund', refund_id, amount, '' FROM refund)";

inline constexpr char kTransferCount[] = "SELECT count(*) FROM transfer";
inline constexpr char kCharges[] = "SELECT order_id, state, user_id, amount, currency, refunded, settled FROM charge";

}  // namespace flotilla::checker::sql
