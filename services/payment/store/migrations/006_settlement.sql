-- Charges whose time to be settled has come, but whose orders were not complete so long ago, or are not known: the
-- settlement's cursor has passed them, and asks about them again at ask_at. Most charges never stand here. Unlike the
-- ledger these rows come and go.
CREATE TABLE settlement_wait (
  order_id uuid PRIMARY KEY REFERENCES charge,
  charged_at timestamptz NOT NULL,
  standing smallint NOT NULL CHECK (standing BETWEEN 1 AND 4),  -- 1 complete, 2 under way, 3 ended unsold, 4 unknown
  asked int NOT NULL DEFAULT 1,
  ask_at timestamptz NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX settlement_wait_ask_at ON settlement_wait (ask_at);
