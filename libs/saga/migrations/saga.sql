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
