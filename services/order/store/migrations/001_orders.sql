-- Orders. user_id stands in every key, so that an engine such as Citus can distribute them by user.
CREATE TABLE orders (
  user_id         text        NOT NULL,
  order_id        uuid        NOT NULL,
  idempotency_key text        NOT NULL,
  body_hash       bytea       NOT NULL,
  state           smallint    NOT NULL CHECK (state BETWEEN 1 AND 4),  -- flotilla.order.v1.OrderState
  skus            text[]      NOT NULL,
  quantities      bigint[]    NOT NULL,
  unit_prices     bigint[]    NOT NULL,
  currency        char(3)     NOT NULL,
  total           bigint      NOT NULL CHECK (total >= 0),
  cancel_reason   text        NOT NULL DEFAULT '',
  version         bigint      NOT NULL,
  created_at      timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  -- order_id is derived from user and idempotency key, so this makes the key unique too.
  PRIMARY KEY (user_id, order_id)
) WITH (fillfactor = 80);  -- room for the changes of state to stay on their page

CREATE INDEX orders_by_time ON orders (user_id, created_at DESC, order_id DESC);
