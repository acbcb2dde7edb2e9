-- Every booking writes an order now, so an order costs as little as possible: the index of a user's holds is by a column
-- that is NULL for all other orders, whose entries are next to each other.
ALTER TABLE orders
    ADD COLUMN held_by BIGINT GENERATED ALWAYS AS (CASE WHEN status = 'held' THEN user_id END) VIRTUAL;

ALTER TABLE orders ADD KEY holds_by_user (held_by, expires_at);

-- Seats that staff block will belong to nobody. Unlike SQLite's, these tables get no check that all others have a user: to
-- add one, MySQL copies the table, and its memory grows by 20 KB with each row.
ALTER TABLE orders MODIFY COLUMN user_id BIGINT NULL;

ALTER TABLE bookings MODIFY COLUMN user_id BIGINT NULL;

-- A booking without a hold gets an order with its own id, and so do those made before. Not a constraint yet: during an
-- upgrade, an instance of the previous version may still book without an order.
-- repeat
INSERT INTO orders (id, user_id, show_id, status, created_at, expires_at, version)
    SELECT b.id, b.user_id, b.show_id, CASE b.status WHEN 'booked' THEN 'awaiting_payment' ELSE 'cancelled' END,
        b.created_at, NULL, b.id
    FROM bookings b FORCE INDEX (bookings_of_an_order)
    WHERE b.order_id IS NULL AND b.status <> 'blocked' ORDER BY b.id LIMIT 5000;
UPDATE bookings b JOIN (
        SELECT n.id FROM bookings n FORCE INDEX (bookings_of_an_order) STRAIGHT_JOIN orders o ON o.id = n.id
        WHERE n.order_id IS NULL AND n.status <> 'blocked' ORDER BY n.id LIMIT 5000
    ) d ON d.id = b.id
    SET b.order_id = b.id;
-- until nothing changes
