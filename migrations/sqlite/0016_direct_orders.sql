-- Most orders are made by booking one seat without a hold. Such an order has the id, the user and the time of its booking,
-- so bookings_of_a_user leads to it, and it needs no entry of its own in a user's index. Orders of earlier programs have
-- NULL in is_direct and stay in the index.
ALTER TABLE orders ADD COLUMN is_direct INTEGER;
ALTER TABLE orders ADD COLUMN
    indexed_user INTEGER GENERATED ALWAYS AS (CASE WHEN is_direct IS NULL THEN user_id END) VIRTUAL;
CREATE INDEX indirect_orders_of_a_user ON orders (indexed_user, created_at, id) WHERE indexed_user IS NOT NULL;
