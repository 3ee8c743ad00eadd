-- What operators see of sagas and do with them. Nothing of it is written for a saga that goes well.

ALTER TABLE saga
  ADD COLUMN parked_step text    NOT NULL DEFAULT '',     -- the step it is parked at
  ADD COLUMN compensable boolean NOT NULL DEFAULT false;  -- parked, and may still go back

CREATE INDEX saga_parked ON saga (type, id) WHERE direction = 2;

-- What went wrong on a saga's way.
CREATE TABLE saga_history (
  type     text        NOT NULL,
  id       text        NOT NULL,
  sequence bigint      GENERATED ALWAYS AS IDENTITY,
  kind     smallint    NOT NULL CHECK (kind BETWEEN 1 AND 3),  -- attempt failed, taken over, parked
  step     text        NOT NULL DEFAULT '',
  attempt  int         NOT NULL DEFAULT 0,
  error    text        NOT NULL DEFAULT '',
  owner    text        NOT NULL DEFAULT '',  -- the instance that saw it
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (type, id, sequence)
);
CREATE INDEX saga_history_by_age ON saga_history (at);

-- Sagas that an operator ended by word.
CREATE TABLE saga_archive (
  type        text        NOT NULL,
  id          text        NOT NULL,
  version     int         NOT NULL,
  parked_from smallint    NOT NULL,
  parked_step text        NOT NULL,
  data        bytea       NOT NULL,
  reason      text        NOT NULL,
  error       text        NOT NULL,
  fence       bigint      NOT NULL,
  created_at  timestamptz NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (type, id, archived_at)
);
CREATE INDEX saga_archive_by_age ON saga_archive (archived_at);

-- Who did what: kept for ever, even from the table's owner.
CREATE TABLE operator_act (
  sequence bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  operator text        NOT NULL,
  act      smallint    NOT NULL CHECK (act BETWEEN 1 AND 3),  -- retry, compensate, resolve
  type     text        NOT NULL,
  id       text        NOT NULL,
  note     text        NOT NULL
);
CREATE INDEX operator_act_by_saga ON operator_act (type, id, sequence);

CREATE FUNCTION refuse_operator_act_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'operator_act is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_act
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_operator_act_change();

-- A change of direction: to compensating (1), with the reason, or to parked (2), with step, error and whether the saga
-- may still go back.
DROP FUNCTION saga_decide(text[], text[], bigint[], smallint[], text[]);
CREATE FUNCTION saga_decide(types text[], ids text[], fences bigint[], directions smallint[], texts text[],
                            steps text[], compensables boolean[])
RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM unnest(types, ids, fences, directions, texts, steps, compensables) WITH ORDINALITY
      AS i(type, id, fence, direction, text, step, compensable, position) LOOP
    UPDATE saga s
    SET direction = item.direction,
        parked_from = CASE WHEN item.direction = 2 AND s.direction < 2 THEN s.direction ELSE s.parked_from END,
        reason = CASE WHEN item.direction = 1 THEN item.text ELSE s.reason END,
        error = CASE WHEN item.direction = 2 THEN item.text ELSE s.error END,
        parked_step = item.step,
        compensable = item.compensable
    WHERE s.type = item.type AND s.id = item.id AND s.fence = item.fence;
    IF FOUND THEN
      IF item.direction = 2 THEN
        INSERT INTO saga_history (type, id, kind, step, error, owner)
        SELECT s.type, s.id, 3, item.step, item.text, s.owner FROM saga s WHERE s.type = item.type AND s.id = item.id;
      END IF;
      RETURN NEXT item.position;
    END IF;
  END LOOP;
END $$;

-- As before, and tells how long each orphan has waited and how old it is, and writes the take-over to its history.
DROP FUNCTION saga_claim(text, interval, text[], int);
CREATE FUNCTION saga_claim(new_owner text, lease interval, known text[], most int)
RETURNS TABLE (claimed saga, waited interval, age interval)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  orphan record;
BEGIN
  FOR orphan IN
    SELECT s.type, s.id, s.lease_until FROM saga s
    WHERE s.direction < 2 AND s.lease_until < now() AND s.type || '/' || s.version = ANY (known)
    ORDER BY s.lease_until LIMIT most FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE saga s SET owner = new_owner, fence = s.fence + 1, lease_until = clock_timestamp() + lease
    WHERE s.type = orphan.type AND s.id = orphan.id RETURNING s.* INTO claimed;
    INSERT INTO saga_history (type, id, kind, owner) VALUES (orphan.type, orphan.id, 2, new_owner);
    waited := clock_timestamp() - orphan.lease_until;
    age := clock_timestamp() - claimed.created_at;
    RETURN NEXT;
  END LOOP;
END $$;
