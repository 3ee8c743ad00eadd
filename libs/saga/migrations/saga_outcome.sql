-- How a saga that had trouble has ended: written beside it, where its instance lives on, and for no other saga.
ALTER TABLE saga_history
  DROP CONSTRAINT saga_history_kind_check,
  ADD CONSTRAINT saga_history_kind_check
    CHECK (kind BETWEEN 1 AND 5);  -- attempt failed, taken over, parked, completed, compensated

ALTER TABLE saga ADD COLUMN troubled boolean NOT NULL DEFAULT false;  -- an operator has let it go on
