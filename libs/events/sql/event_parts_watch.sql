-- Where nobody made parts for long, many are missing: each call makes some of them, so that none is a long transaction.
CREATE OR REPLACE FUNCTION event_make_parts() RETURNS int
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
  WHILE starts < now() + 2 * length AND made < 50 LOOP
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

-- Rows that wait for a part, at most 1,000: whoever keeps the parts may know, whatever else the role may.
CREATE FUNCTION event_rows_without_part() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*) FROM (SELECT FROM event_default LIMIT 1000) AS waiting
$$;
