-- A charge that was given up or has expired keeps in `reason` that the provider called it failed afterwards, so that a
-- success that still comes is known to contradict. Not validated: the old constraint says more.
ALTER TABLE charge
  DROP CONSTRAINT charge_reason,
  ADD CONSTRAINT charge_reason CHECK (state <> 2 OR reason IS NOT NULL) NOT VALID;
