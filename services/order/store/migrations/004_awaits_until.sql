-- Until when an order awaits its payment; only while it does. What is overdue is looked for by it: not by the state, which
-- the updates of all orders change, so that none of them could stay on its page (HOT). Of other orders it is null.
-- Those that await their payment while this is applied go by payment's events alone, as all did before.
ALTER TABLE orders ADD COLUMN awaits_until timestamptz;
