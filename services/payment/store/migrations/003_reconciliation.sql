-- The external provider's statements, and where they differ from the ledger.

-- What is ours in a statement's period.
CREATE INDEX transfer_external ON transfer (created_at) WHERE kind = 7;
CREATE INDEX refund_created_at ON refund (created_at);

CREATE TABLE provider_statement (
  statement_id text PRIMARY KEY,
  period_start timestamptz NOT NULL,
  period_end timestamptz NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),  -- SHA-256 of the period and the lines
  lines int NOT NULL CHECK (lines >= 0),
  state smallint NOT NULL DEFAULT 1,  -- 1 open, 2 closed: compared, and no difference is open
  reconciled_at timestamptz,
  event_count int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (period_start < period_end),
  CHECK (state = 1 OR reconciled_at IS NOT NULL)
);
CREATE INDEX provider_statement_open ON provider_statement (reconciled_at NULLS FIRST) WHERE state = 1;

CREATE TABLE statement_line (
  statement_id text NOT NULL,
  line int NOT NULL,
  provider_reference text NOT NULL,
  kind smallint NOT NULL CHECK (kind IN (1, 2)),  -- 1 charge, 2 refund
  amount bigint NOT NULL CHECK (amount > 0),
  currency char(3) NOT NULL,
  occurred_at timestamptz NOT NULL,  -- by the provider's clock
  transfer_id bigint,                -- of the charge or refund it was matched with
  PRIMARY KEY (statement_id, line)
);
CREATE UNIQUE INDEX statement_line_transfer ON statement_line (transfer_id) WHERE transfer_id IS NOT NULL;

CREATE TABLE difference (
  difference_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  statement_id text NOT NULL,
  class smallint NOT NULL CHECK (class IN (1, 2, 3, 4)),  -- 1 missing here, 2 missing there, 3 amount, 4 duplicate
  line int,            -- absent: missing there
  transfer_id bigint,  -- absent: missing here, or a duplicate
  provider_reference text NOT NULL,
  kind smallint NOT NULL,
  theirs bigint NOT NULL CHECK (theirs >= 0),
  ours bigint NOT NULL CHECK (ours >= 0 AND ours <> theirs),
  currency char(3) NOT NULL,
  state smallint NOT NULL DEFAULT 1,  -- 1 open, 2 gone: it matched later, 3 corrected, 4 dismissed
  operator text,
  note text,
  correction_id bigint,  -- the transfer of a corrected one
  created_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  CHECK ((class = 2) = (line IS NULL)),
  CHECK ((class IN (2, 3)) = (transfer_id IS NOT NULL)),
  CHECK ((state = 1) = (closed_at IS NULL)),
  CHECK ((state IN (3, 4)) = (operator IS NOT NULL AND note IS NOT NULL)),
  CHECK ((state = 3) = (correction_id IS NOT NULL))
);
-- Nothing is told, or corrected, twice.
CREATE UNIQUE INDEX difference_line ON difference (statement_id, line) WHERE state <> 2 AND line IS NOT NULL;
CREATE UNIQUE INDEX difference_transfer ON difference (transfer_id) WHERE state <> 2 AND transfer_id IS NOT NULL;
CREATE INDEX difference_statement ON difference (statement_id, difference_id);
CREATE INDEX difference_open ON difference (class, difference_id) WHERE state = 1;

CREATE TRIGGER no_delete BEFORE DELETE OR TRUNCATE ON provider_statement
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_delete BEFORE DELETE OR TRUNCATE ON statement_line
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_delete BEFORE DELETE OR TRUNCATE ON difference
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
