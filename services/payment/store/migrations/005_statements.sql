-- A comparison that fails leaves the others their turn, a statement can be withdrawn, and a line may come for what an
-- operator has dismissed as missing there.

ALTER TABLE provider_statement
  DROP CONSTRAINT provider_statement_check1,
  ADD COLUMN attempts int NOT NULL DEFAULT 0,  -- to compare it, since the last one that came to its end
  ADD COLUMN attempted_at timestamptz,
  ADD COLUMN error text NOT NULL DEFAULT '',   -- of the last attempt
  ADD COLUMN withdrawn_by text,
  ADD COLUMN withdrawal_note text,
  ADD COLUMN withdrawn_at timestamptz,
  -- state: also 3 withdrawn
  ADD CONSTRAINT provider_statement_closed CHECK (state <> 2 OR reconciled_at IS NOT NULL),
  ADD CONSTRAINT provider_statement_withdrawn CHECK (
    CASE state WHEN 3 THEN num_nulls(withdrawn_by, withdrawal_note, withdrawn_at) = 0
               ELSE num_nonnulls(withdrawn_by, withdrawal_note, withdrawn_at) = 0 END);
UPDATE provider_statement SET attempted_at = reconciled_at;
DROP INDEX provider_statement_open;
CREATE INDEX provider_statement_open ON provider_statement (attempted_at NULLS FIRST) WHERE state = 1;

DROP INDEX difference_transfer;
CREATE UNIQUE INDEX difference_transfer ON difference (transfer_id)
  WHERE state <> 2 AND NOT (class = 2 AND state = 4) AND transfer_id IS NOT NULL;
CREATE INDEX difference_of_transfer ON difference (transfer_id) WHERE transfer_id IS NOT NULL;
