-- Stock per SKU. The checks are the last guard against overselling, whatever Redis and the code believe.
CREATE TABLE sku (
  sku         text        PRIMARY KEY,
  name        text        NOT NULL,
  price_minor bigint      NOT NULL CHECK (price_minor > 0),
  currency    char(3)     NOT NULL,
  initial     bigint      NOT NULL CHECK (initial >= 0),
  adjusted    bigint      NOT NULL DEFAULT 0,
  available   bigint      NOT NULL CHECK (available >= 0),
  reserved    bigint      NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  sold        bigint      NOT NULL DEFAULT 0 CHECK (sold >= 0),
  created_at  timestamptz NOT NULL DEFAULT now(),
  CHECK (initial + adjusted = available + reserved + sold)
) WITH (fillfactor = 50);  -- every batch updates its rows in place

-- Stock that came or went other than by orders. Append-only.
CREATE TABLE stock_adjustment (
  adjustment_id text        PRIMARY KEY,
  sku           text        NOT NULL REFERENCES sku,
  delta         bigint      NOT NULL CHECK (delta <> 0),
  reason        text        NOT NULL DEFAULT '',
  created_at    timestamptz NOT NULL DEFAULT now()
);

-- One row an order. RELEASED without lines is a tombstone: a Release that came before its Reserve.
CREATE TABLE reservation (
  order_id    uuid        PRIMARY KEY,
  state       smallint    NOT NULL CHECK (state BETWEEN 1 AND 4),  -- HELD, CONFIRMED, RELEASED, EXPIRED
  skus        text[]      NOT NULL DEFAULT '{}',
  quantities  bigint[]    NOT NULL DEFAULT '{}',
  unit_prices bigint[]    NOT NULL DEFAULT '{}',
  currency    char(3)     NOT NULL DEFAULT '',
  expires_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

-- What the sweeper looks for, without a scan of what is sold.
CREATE INDEX reservation_expiry ON reservation (expires_at) WHERE state = 1;
