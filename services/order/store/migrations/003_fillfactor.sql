-- The orders of a batch fill a page together and are paid together: half the page is kept free, so that their second
-- versions stay on it and need no new index entries.
ALTER TABLE orders SET (fillfactor = 50);
