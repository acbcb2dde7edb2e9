-- Most orders are made by booking one seat without a hold. Such an order has the id, the user and the time of its booking,
-- so bookings_of_a_user leads to it, and it needs no entry of its own in a user's index. Orders of earlier programs have
-- NULL in is_direct and stay in the index. Direct orders have NULL in indexed_user; their entries are next to each other.
ALTER TABLE orders ADD COLUMN is_direct TINYINT;
ALTER TABLE orders ADD COLUMN
    indexed_user BIGINT GENERATED ALWAYS AS (CASE WHEN is_direct IS NULL THEN user_id END) VIRTUAL;
ALTER TABLE orders ADD KEY indirect_orders_of_a_user (indexed_user, created_at, id);
