-- Whether fences still hold; nothing of a record that is locked, for it may be being taken over just now. The lock, which
-- does not wait, and the claim's second look at the owner's lease exclude each other: what is held here after its
-- owner's lease was renewed is not claimed any more.
DROP FUNCTION saga_held(text[], text[], bigint[]);
CREATE FUNCTION saga_look(types text[], ids text[], fences bigint[]) RETURNS TABLE (place bigint, held boolean)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences) WITH ORDINALITY AS i(type, id, fence, position) LOOP
    place := item.position;
    PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence
      FOR KEY SHARE SKIP LOCKED;
    held := FOUND;
    IF NOT held THEN
      PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
      CONTINUE WHEN FOUND;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

-- As before, but from nobody whose lease was renewed meanwhile.
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
    UPDATE saga s SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease
    WHERE s.type = free.type AND s.id = free.id
      AND NOT EXISTS (SELECT FROM saga_owner o WHERE o.owner = free.owner AND o.lease_until >= clock_timestamp())
    RETURNING s.* INTO claimed;
    CONTINUE WHEN NOT FOUND;
    orphaned := free.owner <> '';
    IF orphaned THEN
      INSERT INTO saga_history (type, id, kind, owner) VALUES (free.type, free.id, 2, new_owner);
    END IF;
    waited := clock_timestamp() - free.free_since;
    age := clock_timestamp() - claimed.created_at;
    RETURN NEXT;
  END LOOP;
END $$;
