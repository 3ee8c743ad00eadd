-- Where the ledger and an order differ (I6) is a difference, too: without a statement, line or transfer.
ALTER TABLE difference
  ADD COLUMN order_id uuid,
  ALTER COLUMN statement_id DROP NOT NULL,
  DROP CONSTRAINT difference_class_check,
  DROP CONSTRAINT difference_check1,
  DROP CONSTRAINT difference_check2,
  -- class: also 5 order missing, 6 not refunded, 7 not charged, 8 another amount, 9 unfinished
  ADD CONSTRAINT difference_class CHECK (class BETWEEN 1 AND 9),
  ADD CONSTRAINT difference_of_statement CHECK ((class <= 4) = (statement_id IS NOT NULL)),
  ADD CONSTRAINT difference_of_order CHECK ((class > 4) = (order_id IS NOT NULL)),
  ADD CONSTRAINT difference_has_line CHECK ((class IN (1, 3, 4)) = (line IS NOT NULL)),
  ADD CONSTRAINT difference_has_transfer CHECK ((class IN (2, 3)) = (transfer_id IS NOT NULL));
CREATE UNIQUE INDEX difference_open_order ON difference (order_id) WHERE state = 1 AND order_id IS NOT NULL;
CREATE INDEX difference_order ON difference (order_id) WHERE order_id IS NOT NULL;

-- How far the journal, in the order of commits, and the orders' own log have been compared with each other.
CREATE TABLE order_match_cursor (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  xid xid8 NOT NULL,
  transfer_id bigint NOT NULL,
  order_token text NOT NULL,  -- order's; '': from the beginning on
  lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO order_match_cursor (xid, transfer_id, order_token) VALUES ('0', 0, '');

-- Orders that did not agree with the ledger when the cursor passed them, and are looked at again at look_at: under way,
-- or differing. Most orders never stand here. Like settlement_wait these rows come and go.
CREATE TABLE order_look (
  order_id uuid PRIMARY KEY,
  user_id text NOT NULL,
  class smallint,  -- of what the last look found, with the amounts; absent: the order was under way
  theirs bigint,
  ours bigint,
  currency char(3),
  looks int NOT NULL DEFAULT 1,
  look_at timestamptz NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nulls(class, theirs, ours, currency) IN (0, 4))
);
CREATE INDEX order_look_look_at ON order_look (look_at);
