-- Stock that came or went other than by orders, the quantity at creation included: per SKU the sum of the deltas is
-- available + reserved + sold. Append-only. It takes the place of stock_adjustment.
CREATE TABLE stock_movement (
  movement_id bigint      GENERATED ALWAYS AS IDENTITY,
  sku         text        NOT NULL REFERENCES sku,
  delta       bigint      NOT NULL CHECK (delta <> 0),
  reason      smallint    NOT NULL CHECK (reason BETWEEN 1 AND 6),  -- INITIAL, RECEIPT, COUNT, LOSS, CUSTOMER_RETURN, TRANSFER
  reference   text        NOT NULL,
  note        text        NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sku, movement_id)
);
-- The quantity at creation has no document; any other reference counts once a SKU.
CREATE UNIQUE INDEX stock_movement_reference ON stock_movement (sku, reference) WHERE reason <> 1;
CREATE UNIQUE INDEX stock_movement_initial ON stock_movement (sku) WHERE reason = 1;

INSERT INTO stock_movement (sku, delta, reason, reference, created_at)
  SELECT sku, initial, 1, '', created_at FROM sku WHERE initial > 0 ORDER BY created_at;
INSERT INTO stock_movement (sku, delta, reason, reference, note, created_at)
  SELECT sku, delta, 3, adjustment_id, reason, created_at FROM stock_adjustment ORDER BY created_at;
DROP TABLE stock_adjustment;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is not allowed: it is append-only', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movement
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An event when the available units fall to the threshold; 0: none. The events of a SKU are numbered here.
ALTER TABLE sku
  ADD COLUMN low_stock_threshold bigint NOT NULL DEFAULT 0 CHECK (low_stock_threshold >= 0),
  ADD COLUMN low_stock_events    bigint NOT NULL DEFAULT 0;

-- Lists go by bytes, whatever the database's collation, so that a prefix is a range.
CREATE INDEX sku_by_name ON sku (sku COLLATE "C");
CREATE INDEX sku_watched ON sku (sku COLLATE "C") WHERE low_stock_threshold > 0;
