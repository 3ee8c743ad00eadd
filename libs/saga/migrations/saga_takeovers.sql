-- How often a record has lost its owner: a saga whose step kills the process that runs it must not go round for ever.
ALTER TABLE saga ADD COLUMN takeovers int NOT NULL DEFAULT 0;  -- since it had none

CREATE OR REPLACE FUNCTION saga_claim(new_owner text, lease interval, known text[], most int)
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
    orphaned := free.owner <> '';
    UPDATE saga s
    SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease,
        takeovers = CASE WHEN orphaned THEN s.takeovers + 1 ELSE 0 END
    WHERE s.type = free.type AND s.id = free.id
      AND NOT EXISTS (SELECT FROM saga_owner o WHERE o.owner = free.owner AND o.lease_until >= clock_timestamp())
    RETURNING s.* INTO claimed;
    CONTINUE WHEN NOT FOUND;
    IF orphaned THEN
      INSERT INTO saga_history (type, id, kind, owner) VALUES (free.type, free.id, 2, new_owner);
    END IF;
    waited := clock_timestamp() - free.free_since;
    age := clock_timestamp() - claimed.created_at;
    RETURN NEXT;
  END LOOP;
END $$;
