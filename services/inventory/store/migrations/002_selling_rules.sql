-- Selling rules. NULL: none.
ALTER TABLE sku
  ADD COLUMN user_limit       bigint CHECK (user_limit > 0),
  ADD COLUMN sale_starts_at   timestamptz,
  ADD COLUMN sale_ends_at     timestamptz,
  ADD COLUMN sale_price_minor bigint CHECK (sale_price_minor > 0),
  ADD CHECK (sale_starts_at < sale_ends_at);

-- What users hold and have bought of SKUs with a limit. Rows of a SKU are written while its row in sku is locked.
CREATE TABLE purchase (
  sku        text   NOT NULL,
  user_id    text   NOT NULL,
  order_id   uuid   NOT NULL,
  units      bigint NOT NULL CHECK (units > 0),
  user_limit bigint NOT NULL,  -- that stood then
  PRIMARY KEY (sku, user_id, order_id),
  CHECK (units <= user_limit)
);

-- The user in whose purchases the reservation's lines are, or '': so an order without limited SKUs never looks there.
ALTER TABLE reservation ADD COLUMN limited_user text NOT NULL DEFAULT '';

-- The transaction that last put the SKU: what changed since a snapshot are the rows from its xmin on. After restoring a
-- dump into another cluster, whose transaction ids start anew: UPDATE sku SET changed = '3'.
ALTER TABLE sku ADD COLUMN changed xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX sku_changed ON sku (changed);
CREATE INDEX sku_restricted ON sku (sku)
  WHERE user_limit IS NOT NULL OR sale_starts_at IS NOT NULL OR sale_ends_at IS NOT NULL;
