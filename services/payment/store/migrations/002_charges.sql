-- Authorizations, partial refunds, the external provider, settlement; the journal's order of commits.
--
-- Rights are given to the service's role by store/rights.h where another role owns the tables.

INSERT INTO account (owner, kind, currency, may_go_negative)
SELECT s.owner, s.kind, c.currency, s.kind = 7
FROM (SELECT DISTINCT currency FROM account) c,
     (VALUES ('hold', 4), ('merchant', 5), ('platform', 6), ('provider', 7)) AS s(owner, kind)
ON CONFLICT DO NOTHING;

-- account.kind: 1 wallet, 2 escrow, 3 external world, 4 hold, 5 merchant, 6 platform fee, 7 provider clearing.
-- transfer.kind: 1 deposit, 2 charge, 3 refund, 4 authorize, 5 capture, 6 release, 7 external, 8 settle, 9 fee,
-- 10 merchant refund, 11 fee refund, 12 correction. The reference is the order's id but for 1 (deposit) and 12
-- (difference).

-- The order of commits: rows below the snapshot's xmin are complete, and whatever comes later sorts behind them. After
-- restoring a dump into another cluster, whose transaction ids start anew, see journal_block.
ALTER TABLE transfer ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX transfer_commit_order ON transfer (xid, transfer_id);

-- An account's statement. A charge's credit is escrow's, always: it is found among all charges, so that the hot path
-- keeps two indexes fewer.
CREATE INDEX transfer_debit ON transfer (debit_account, transfer_id);
CREATE INDEX transfer_credit ON transfer (credit_account, transfer_id) WHERE kind <> 2;
-- An order's transfers but the charge, which the charge's row names.
CREATE INDEX transfer_reference ON transfer (reference) WHERE kind > 2;

CREATE TABLE refund (
  order_id uuid NOT NULL,
  refund_id text NOT NULL,  -- '': all that was left, asked for without a key
  amount bigint NOT NULL CHECK (amount > 0),
  currency char(3) NOT NULL,
  transfer_id bigint NOT NULL,  -- the first one
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (order_id, refund_id)
);
INSERT INTO refund (order_id, refund_id, amount, currency, transfer_id)
SELECT order_id, '', amount, currency, refund_transfer_id FROM charge WHERE state = 3;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- charge.state: 1 charged, 2 refused, 3 refunded in full, 4 voided (without a user: a tombstone), 5 authorized, 6
-- awaiting the provider, 7 expired
ALTER TABLE charge
  DROP CONSTRAINT charge_check,
  DROP CONSTRAINT charge_check1,
  DROP CONSTRAINT charge_check2,
  DROP CONSTRAINT charge_check3,
  ADD COLUMN method smallint NOT NULL DEFAULT 1,  -- 1 wallet, 2 external
  ADD COLUMN captured bigint NOT NULL DEFAULT 0,
  ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
  ADD COLUMN settled bigint NOT NULL DEFAULT 0,
  ADD COLUMN fee bigint NOT NULL DEFAULT 0,
  ADD COLUMN fee_refunded bigint NOT NULL DEFAULT 0,
  ADD COLUMN provider_reference text,
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN event_count int NOT NULL DEFAULT 0;
UPDATE charge SET captured = amount, refunded = CASE WHEN state = 3 THEN amount ELSE 0 END WHERE state IN (1, 3);
ALTER TABLE charge
  DROP COLUMN refund_transfer_id,
  ADD CONSTRAINT charge_known CHECK (state = 4 OR (user_id IS NOT NULL AND amount > 0 AND currency IS NOT NULL)),
  ADD CONSTRAINT charge_transfer CHECK (CASE WHEN state IN (1, 3, 5) THEN transfer_id IS NOT NULL
                                             WHEN state IN (2, 6) THEN transfer_id IS NULL ELSE true END),
  ADD CONSTRAINT charge_reason CHECK ((state = 2) = (reason IS NOT NULL)),
  ADD CONSTRAINT charge_captured CHECK ((state IN (1, 3)) = (captured > 0) AND captured <= coalesce(amount, 0)),
  ADD CONSTRAINT charge_refunded CHECK (refunded BETWEEN 0 AND captured AND (state = 3) = (captured > 0 AND refunded = captured)),
  ADD CONSTRAINT charge_settled CHECK (settled BETWEEN 0 AND captured AND fee BETWEEN 0 AND settled
                                       AND fee_refunded BETWEEN 0 AND fee),
  ADD CONSTRAINT charge_expiry CHECK (state NOT IN (5, 6) OR expires_at IS NOT NULL),
  ADD CONSTRAINT charge_provider CHECK ((method = 2) = (provider_reference IS NOT NULL));
CREATE INDEX charge_expires_at ON charge (expires_at) WHERE state IN (5, 6);
CREATE UNIQUE INDEX charge_provider_reference ON charge (provider_reference) WHERE provider_reference IS NOT NULL;

-- The provider's words, each taken once.
CREATE TABLE provider_event (
  event_id text PRIMARY KEY,
  order_id uuid NOT NULL,
  succeeded boolean NOT NULL,
  amount bigint NOT NULL,
  currency char(3) NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provider_event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How far the settlement has come in the order of commits. One row; who holds its lease settles.
CREATE TABLE settlement_cursor (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  xid xid8 NOT NULL,
  transfer_id bigint NOT NULL,
  lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO settlement_cursor (xid, transfer_id) VALUES ('0', 0);

-- The journal's hash chain: a block covers the transfers behind the one before, up to (xid, transfer_id), in the order
-- of commits; its hash covers the previous block's and every field of every transfer. After restoring a dump into
-- another cluster: UPDATE transfer SET xid = '3' as the owner with the trigger off, DELETE FROM journal_block, and the
-- chain begins anew.
CREATE TABLE journal_block (
  number bigint PRIMARY KEY CHECK (number > 0),
  xid xid8 NOT NULL,
  transfer_id bigint NOT NULL,
  transfers bigint NOT NULL CHECK (transfers > 0),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_block
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
