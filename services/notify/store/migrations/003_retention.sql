-- A webhook's second live secret, while its owner changes over to the new one.
ALTER TABLE endpoint
  ADD COLUMN previous_secret bytea,
  ADD COLUMN previous_until timestamptz;
