-- Apart from the column, so that only this one takes as long as the table is read; orders are read meanwhile, not written.
CREATE INDEX orders_awaiting ON orders (awaits_until, order_id) WHERE awaits_until IS NOT NULL;
