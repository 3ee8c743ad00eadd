-- The event log, which is the outbox. Append-only.
-- xid tells which snapshot saw the row first (the relay's cursor is a snapshot); position orders rows that became
-- visible together. Both indexes only grow at their right edge. After restoring a dump into another cluster, whose
-- transaction ids start anew: UPDATE event SET xid = '3'; DELETE FROM relay_cursor; all events are then sent again.
CREATE TABLE event (
  position bigint GENERATED ALWAYS AS IDENTITY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  stream_id text NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  event_id text NOT NULL,
  type text NOT NULL,
  data bytea NOT NULL,
  traceparent text NOT NULL DEFAULT '',
  occurred_at timestamptz NOT NULL,
  PRIMARY KEY (stream_id, sequence)
);
CREATE INDEX event_xid ON event (xid);
CREATE INDEX event_position ON event (position);

-- Everything `snapshot` sees has been published; while a backlog is drained also everything `draining` sees, up to
-- `position`.
CREATE TABLE relay_cursor (
  name text PRIMARY KEY,
  snapshot pg_snapshot NOT NULL,
  draining pg_snapshot,
  position bigint NOT NULL,
  published bigint NOT NULL
) WITH (fillfactor = 10);
