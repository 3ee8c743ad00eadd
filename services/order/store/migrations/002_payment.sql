-- External payment and refunds. orders.state: also 5 awaiting payment, 6 refunding, 7 refunded, 8 partially refunded.
ALTER TABLE orders
  DROP CONSTRAINT orders_state_check,
  ADD CONSTRAINT orders_state_check CHECK (state BETWEEN 1 AND 8),
  ADD COLUMN payment_method smallint NOT NULL DEFAULT 1,  -- flotilla.order.v1.PaymentMethod
  ADD COLUMN payment_reference text NOT NULL DEFAULT '',  -- what the external provider knows the order by
  ADD COLUMN pay_by timestamptz,
  ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT orders_refunded_check CHECK (refunded BETWEEN 0 AND total);

-- Written when a refund begins, so that a repeat of it is recognized whatever came afterwards.
CREATE TABLE order_refund (
  user_id      text        NOT NULL,
  order_id     uuid        NOT NULL,
  refund_id    text        NOT NULL,
  amount       bigint      NOT NULL CHECK (amount > 0),
  return_stock boolean     NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, order_id, refund_id)
);
