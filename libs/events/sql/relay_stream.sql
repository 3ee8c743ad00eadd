-- The JetStream stream that took what the cursor has passed: when it was created (nanoseconds since the epoch, as NATS
-- tells it) and the last sequence it acknowledged. Another one, or this one with a lower last sequence, has lost events.
-- 0: not known.
ALTER TABLE relay_cursor
  ADD COLUMN stream_created bigint NOT NULL DEFAULT 0,
  ADD COLUMN stream_sequence bigint NOT NULL DEFAULT 0;
