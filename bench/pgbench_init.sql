CREATE TABLE b_sku (id int PRIMARY KEY, available bigint, reserved bigint, sold bigint);
INSERT INTO b_sku SELECT i, 1000000000, 0, 0 FROM generate_series(1, 1000) i;
CREATE TABLE b_reservation (order_id uuid PRIMARY KEY, state smallint, skus text[], quantities bigint[]);
CREATE TABLE b_order (user_id text, order_id uuid, state smallint, total bigint, PRIMARY KEY (user_id, order_id));
CREATE TABLE b_saga (id uuid PRIMARY KEY, data text);
CREATE TABLE b_event (stream_id uuid, sequence int, data text, PRIMARY KEY (stream_id, sequence));
CREATE TABLE b_transfer (order_id uuid PRIMARY KEY, debit int, credit int, amount bigint);
CREATE TABLE b_account (id int PRIMARY KEY, balance bigint);
INSERT INTO b_account SELECT i, 0 FROM generate_series(0, 1000) i;
