-- Open sagas: a row is written at the beginning, deleted at the end, and otherwise only touched by what goes wrong.
CREATE TABLE saga (
  type        text        NOT NULL,
  id          text        NOT NULL,
  version     int         NOT NULL,
  direction   smallint    NOT NULL DEFAULT 0 CHECK (direction BETWEEN 0 AND 2),  -- forward, compensating, parked
  parked_from smallint,                                                          -- the direction it was parked in
  data        bytea       NOT NULL,
  reason      text        NOT NULL DEFAULT '',  -- why it compensates
  error       text        NOT NULL DEFAULT '',  -- why it is parked
  owner       text        NOT NULL,
  fence       bigint      NOT NULL DEFAULT 1,
  lease_until timestamptz NOT NULL,
  traceparent text        NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (type, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

-- Orphans, without a scan of those that live.
CREATE INDEX saga_lease ON saga (lease_until) WHERE direction < 2;

-- Every access by key is a function with its own planner settings. The table is nearly empty whenever it is vacuumed,
-- so the planner takes it for one row: a join with unnest() then becomes a scan of the whole table for every item, and
-- stays so while an outage lets the table grow (an end of 256 among 100,000 took 6.5 s). One look-up an item cannot go
-- wrong. Each function returns the positions, from 1, of the items that matched.

CREATE FUNCTION saga_end(types text[], ids text[], fences bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences) WITH ORDINALITY AS i(type, id, fence, position) LOOP
    DELETE FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
    IF FOUND THEN
      RETURN NEXT item.position;
    END IF;
  END LOOP;
END $$;

-- Waits for no lock: a row that its own end or decision holds just now needs no renewal, and waiting for it would let
-- the other leases run out, or deadlock with a commit that ends several of them. It still counts as held.
CREATE FUNCTION saga_renew(types text[], ids text[], fences bigint[], lease interval) RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences) WITH ORDINALITY AS i(type, id, fence, position) LOOP
    PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence
      FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE saga s SET lease_until = clock_timestamp() + lease WHERE s.type = item.type AND s.id = item.id;
    ELSE
      PERFORM FROM saga s WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
      CONTINUE WHEN NOT FOUND;
    END IF;
    RETURN NEXT item.position;
  END LOOP;
END $$;

-- A change of direction: to compensating (1), with the reason, or to parked (2), with the error.
CREATE FUNCTION saga_decide(types text[], ids text[], fences bigint[], directions smallint[], texts text[])
RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences, directions, texts) WITH ORDINALITY
      AS i(type, id, fence, direction, text, position) LOOP
    UPDATE saga s
    SET direction = item.direction,
        parked_from = CASE WHEN item.direction = 2 AND s.direction < 2 THEN s.direction ELSE s.parked_from END,
        reason = CASE WHEN item.direction = 1 THEN item.text ELSE s.reason END,
        error = CASE WHEN item.direction = 2 THEN item.text ELSE s.error END
    WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
    IF FOUND THEN
      RETURN NEXT item.position;
    END IF;
  END LOOP;
END $$;

-- Takes over up to `most` orphans of the `known` definitions ("type/version"), oldest first. SKIP LOCKED: instances claim
-- side by side, none waits for another. Without sorts the index on lease_until gives the order.
CREATE FUNCTION saga_claim(new_owner text, lease interval, known text[], most int) RETURNS SETOF saga
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  orphan record;
  claimed saga;
BEGIN
  FOR orphan IN
    SELECT s.type, s.id FROM saga s
    WHERE s.direction < 2 AND s.lease_until < now() AND s.type || '/' || s.version = ANY (known)
    ORDER BY s.lease_until LIMIT most FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE saga s SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease
    WHERE s.type = orphan.type AND s.id = orphan.id RETURNING s.* INTO claimed;
    RETURN NEXT claimed;
  END LOOP;
END $$;
