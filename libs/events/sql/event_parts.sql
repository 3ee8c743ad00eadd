-- The log in parts by the time of appending, so that what is old goes with its table instead of row by row. The rows so
-- far become the first part. Within a part (stream_id, sequence) is unique; across parts it is as unique as the row
-- that serializes the stream's writers makes it.
ALTER TABLE event RENAME TO event_first;
ALTER TABLE event_first ALTER position DROP IDENTITY;
-- In the order of the relay's reading: by transaction, within it by position.
CREATE INDEX event_first_log ON event_first (xid, position);
DROP INDEX event_xid, event_position;
-- Rows that are there count as appended now: adding the column does not touch them.
ALTER TABLE event_first ADD COLUMN appended_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE event_first ALTER appended_at SET DEFAULT clock_timestamp();

CREATE TABLE event (LIKE event_first INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (appended_at);
ALTER TABLE event ALTER position ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('event', 'position'), (SELECT coalesce(max(position), 0) + 1 FROM event_first), false);
CREATE INDEX event_log ON event (xid, position);

-- Which parts there are, and until when each takes rows. A part that was dropped stays listed: the log begins where the
-- last of them ended.
CREATE TABLE event_part (
  name text PRIMARY KEY,
  ends_at timestamptz NOT NULL UNIQUE,
  dropped_at timestamptz
);
WITH first AS (
  INSERT INTO event_part (name, ends_at)
  SELECT 'event_first', date_trunc('day', now(), 'UTC') + interval '24 hours' RETURNING ends_at)
SELECT set_config('flotilla.first_ends_at', ends_at::text, true) FROM first;
ALTER TABLE event ATTACH PARTITION event_first
  FOR VALUES FROM (MINVALUE) TO (current_setting('flotilla.first_ends_at')::timestamptz);

-- Where nobody has made parts for a long time: rows wait here for their part, so that no order fails for it.
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE UNIQUE INDEX event_default_stream ON event_default (stream_id, sequence);

-- Who may use the log so far may do so still, while instances of the version before run.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN SELECT grantee, privilege_type FROM information_schema.role_table_grants
                 WHERE table_schema = 'public' AND table_name = 'event_first' AND grantee <> current_user LOOP
    EXECUTE format('GRANT %s ON event TO %I', granted.privilege_type, granted.grantee);
  END LOOP;
END $$;

-- One row: how long a part is, and how long one is kept after its end. Of the tables' owner; the functions below take no
-- parameters, so a role that may only call them cannot shorten the log.
CREATE TABLE event_policy (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  period interval NOT NULL,
  retention interval NOT NULL
);
INSERT INTO event_policy (period, retention) VALUES ('24 hours', '336 hours');

-- How far the reading of a backlog has come, while relay_cursor.draining is this snapshot.
ALTER TABLE relay_cursor
  ADD COLUMN drained_of pg_snapshot,
  ADD COLUMN drained_xid xid8 NOT NULL DEFAULT '0',
  ADD COLUMN drained_position bigint NOT NULL DEFAULT 0;

-- Makes the parts of the next two periods; returns how many. Of several callers one does it.
CREATE FUNCTION event_make_parts() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  length interval;
  starts timestamptz;
  ends timestamptz;
  part text;
  made int := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('flotilla event parts', 0)) THEN
    RETURN 0;
  END IF;
  SELECT period INTO length FROM event_policy;
  SELECT max(ends_at) INTO starts FROM event_part;
  WHILE starts < now() + 2 * length LOOP
    ends := date_bin(length, starts, timestamptz 'epoch') + length;
    part := 'event_' || to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS');
    EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream_id, sequence)', part || '_stream', part);
    IF EXISTS (SELECT FROM event_default WHERE appended_at >= starts AND appended_at < ends) THEN
      LOCK TABLE event_default IN ACCESS EXCLUSIVE MODE;
      EXECUTE format('WITH moved AS (DELETE FROM event_default WHERE appended_at >= %L AND appended_at < %L RETURNING *)'
                     ' INSERT INTO %I SELECT * FROM moved', starts, ends, part);
    END IF;
    EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, starts, ends);
    INSERT INTO event_part (name, ends_at) VALUES (part, ends);
    made := made + 1;
    starts := ends;
  END LOOP;
  RETURN made;
END $$;

-- Whether a relay has not sent all of a part's rows: as long as there is no cursor, none are sent.
CREATE FUNCTION event_part_unsent(part text) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  unsent boolean;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT FROM %I) AND (NOT EXISTS (SELECT FROM relay_cursor) OR EXISTS ('
                 ' SELECT FROM relay_cursor c JOIN %I e ON e.xid >= pg_snapshot_xmin(c.snapshot)'
                 ' WHERE NOT pg_visible_in_snapshot(e.xid, c.snapshot)))', part, part) INTO unsent;
  RETURN unsent;
END $$;

-- Drops parts that are older than the retention and sent; returns how many. Appending waits meanwhile: milliseconds, or
-- not at all where a long reader makes this fail (55P03), and the next call tries again.
CREATE FUNCTION event_drop_parts() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
  part text;
  dropped int := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('flotilla event parts', 0)) THEN
    RETURN 0;
  END IF;
  FOR part IN SELECT p.name FROM event_part p, event_policy
              WHERE dropped_at IS NULL AND ends_at < now() - retention ORDER BY ends_at LOOP
    EXIT WHEN event_part_unsent(part);
    LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', part);
    EXIT WHEN event_part_unsent(part);  -- of a transaction that ended meanwhile
    EXECUTE format('DROP TABLE %I', part);
    UPDATE event_part SET dropped_at = now() WHERE name = part;
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;

REVOKE ALL ON FUNCTION event_make_parts(), event_part_unsent(text), event_drop_parts() FROM PUBLIC;

-- Parts of the log that operators had published again.
CREATE TABLE event_replay (
  replay_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operator text NOT NULL,
  note text NOT NULL,
  stream_id text NOT NULL,             -- '': all streams
  from_time timestamptz NOT NULL,
  to_time timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,                -- empty where it was cut short
  published bigint NOT NULL DEFAULT 0
);

SELECT event_make_parts();
