-- A record that nobody has had (owner '': begun for any instance, or freed by an operator) is no orphan: its first
-- owner is no trouble, so no history, and the answer tells. Otherwise as before.
DROP FUNCTION saga_claim(text, interval, text[], int);
CREATE FUNCTION saga_claim(new_owner text, lease interval, known text[], most int)
RETURNS TABLE (claimed saga, waited interval, age interval, orphaned boolean)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  free record;
BEGIN
  FOR free IN
    SELECT s.type, s.id, s.owner, greatest(s.lease_until, o.lease_until) AS free_since
    FROM saga s LEFT JOIN saga_owner o ON o.owner = s.owner
    WHERE s.direction < 2 AND s.lease_until < now() AND s.type || '/' || s.version = ANY (known)
      AND (o.lease_until IS NULL OR o.lease_until < now())
    ORDER BY s.lease_until LIMIT most FOR UPDATE OF s SKIP LOCKED
  LOOP
    UPDATE saga s SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease
    WHERE s.type = free.type AND s.id = free.id RETURNING s.* INTO claimed;
    orphaned := free.owner <> '';
    IF orphaned THEN
      INSERT INTO saga_history (type, id, kind, owner) VALUES (free.type, free.id, 2, new_owner);
    END IF;
    waited := clock_timestamp() - free.free_since;
    age := clock_timestamp() - claimed.created_at;
    RETURN NEXT;
  END LOOP;
END $$;
