-- Leases of owners. A record's own lease covers its first moments, in which most sagas end; from then on its owner's
-- does, one row however many sagas it has. Renewing them one by one, ten thousand that were stuck kept a core busy and
-- ran out all the same.
CREATE TABLE saga_owner (
  owner       text        PRIMARY KEY,
  lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);  -- renewed in place

-- Prolongs an owner's lease. False where it had run out, or never was: others may have taken its sagas over.
DROP FUNCTION saga_renew(text[], text[], bigint[], interval);
CREATE FUNCTION saga_renew(renewed text, lease interval) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  held boolean;
BEGIN
  SELECT o.lease_until > clock_timestamp() INTO held FROM saga_owner o WHERE o.owner = renewed FOR NO KEY UPDATE;
  INSERT INTO saga_owner AS o (owner, lease_until) VALUES (renewed, clock_timestamp() + lease)
  ON CONFLICT (owner) DO UPDATE SET lease_until = excluded.lease_until;
  RETURN coalesce(held, false);
END $$;

-- The positions of those whose fence holds.
CREATE FUNCTION saga_held(types text[], ids text[], fences bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences) WITH ORDINALITY AS i(type, id, fence, position) LOOP
    PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
    IF FOUND THEN
      RETURN NEXT item.position;
    END IF;
  END LOOP;
END $$;

-- An owner that stops: what it still has is free at once. Waits for no lock: a row that its own end or decision holds
-- just now is free when its lease runs out.
CREATE FUNCTION saga_leave(leaving text, types text[], ids text[], fences bigint[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  UPDATE saga_owner o SET lease_until = '-infinity' WHERE o.owner = leaving;
  FOR item IN SELECT * FROM unnest(types, ids, fences) AS i(type, id, fence) LOOP
    PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence
      FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE saga s SET lease_until = clock_timestamp() - interval '1 second'
      WHERE s.type = item.type AND s.id = item.id;
    END IF;
  END LOOP;
END $$;

-- As before, but only from owners whose lease has run out too.
CREATE OR REPLACE FUNCTION saga_claim(new_owner text, lease interval, known text[], most int)
RETURNS TABLE (claimed saga, waited interval, age interval)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  orphan record;
BEGIN
  FOR orphan IN
    SELECT s.type, s.id, greatest(s.lease_until, o.lease_until) AS free_since
    FROM saga s LEFT JOIN saga_owner o ON o.owner = s.owner
    WHERE s.direction < 2 AND s.lease_until < now() AND s.type || '/' || s.version = ANY (known)
      AND (o.lease_until IS NULL OR o.lease_until < now())
    ORDER BY s.lease_until LIMIT most FOR UPDATE OF s SKIP LOCKED
  LOOP
    UPDATE saga s SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease
    WHERE s.type = orphan.type AND s.id = orphan.id RETURNING s.* INTO claimed;
    INSERT INTO saga_history (type, id, kind, owner) VALUES (orphan.type, orphan.id, 2, new_owner);
    waited := clock_timestamp() - orphan.free_since;
    age := clock_timestamp() - claimed.created_at;
    RETURN NEXT;
  END LOOP;
END $$;
