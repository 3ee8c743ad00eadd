-- The rows of :batch paid orders as five commits, as the fleet writes them: reserve, order + event + saga, ledger, confirm, finish.
\set base random(1, 9000000000000)
BEGIN;
UPDATE b_sku SET available = available - n, reserved = reserved + n
  FROM (SELECT 1 + (i * 7919) % 1000 AS id, count(*) AS n FROM generate_series(1, :batch) i GROUP BY 1) d WHERE b_sku.id = d.id;
INSERT INTO b_reservation SELECT md5((:base + i)::text)::uuid, 1, '{sku-1}', '{1}' FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
COMMIT;
BEGIN;
INSERT INTO b_order SELECT 'user-' || i % 1000, md5((:base + i)::text)::uuid, 1, 100 FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
INSERT INTO b_saga SELECT md5((:base + i)::text)::uuid, 'x' FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
INSERT INTO b_event SELECT md5((:base + i)::text)::uuid, 1, repeat('d', 200) FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
COMMIT;
BEGIN;
INSERT INTO b_transfer SELECT md5((:base + i)::text)::uuid, 1 + i % 1000, 0, 100 FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
UPDATE b_account SET balance = balance - n
  FROM (SELECT 1 + i % 1000 AS id, 100 * count(*) AS n FROM generate_series(1, :batch) i GROUP BY 1) d WHERE b_account.id = d.id;
UPDATE b_account SET balance = balance + 100 * :batch WHERE id = 0;
COMMIT;
BEGIN;
UPDATE b_reservation SET state = 2 FROM generate_series(1, :batch) i WHERE order_id = md5((:base + i)::text)::uuid;
UPDATE b_sku SET reserved = reserved - n, sold = sold + n
  FROM (SELECT 1 + (i * 7919) % 1000 AS id, count(*) AS n FROM generate_series(1, :batch) i GROUP BY 1) d WHERE b_sku.id = d.id;
COMMIT;
BEGIN;
UPDATE b_order SET state = 2 FROM generate_series(1, :batch) i WHERE user_id = 'user-' || i % 1000 AND order_id = md5((:base + i)::text)::uuid;
DELETE FROM b_saga USING generate_series(1, :batch) i WHERE id = md5((:base + i)::text)::uuid;
INSERT INTO b_event SELECT md5((:base + i)::text)::uuid, 2, repeat('d', 200) FROM generate_series(1, :batch) i ON CONFLICT DO NOTHING;
COMMIT;
