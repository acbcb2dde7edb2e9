-- A booking without a hold gets an order with its own id, and so do those made before. Not a constraint yet: during an
-- upgrade, an instance of the previous version may still book without an order.
-- Seats that staff block will belong to nobody, so user_id can be NULL.
--
-- Every booking writes an order now, so an order costs as little as possible: only holds are in the indexes of holds, and
-- the bookings, which every order has, refer to its user and its show already.
CREATE TABLE new_orders (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER,
    show_id    INTEGER NOT NULL,
    status     TEXT    NOT NULL
        CONSTRAINT orders_have_a_status CHECK (status IN ('held', 'awaiting_payment', 'paid', 'cancelled', 'refunded')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    version    INTEGER NOT NULL,
    held_by    INTEGER GENERATED ALWAYS AS (CASE WHEN status = 'held' THEN user_id END) VIRTUAL,
    CONSTRAINT orders_expire_while_held CHECK ((status = 'held') = (expires_at IS NOT NULL)),
    CONSTRAINT orders_belong_to_a_user CHECK (user_id IS NOT NULL)
) STRICT;
INSERT INTO new_orders (id, user_id, show_id, status, created_at, expires_at, version)
    SELECT id, user_id, show_id, status, created_at, expires_at, version FROM orders
    UNION ALL
    SELECT id, user_id, show_id, CASE status WHEN 'booked' THEN 'awaiting_payment' ELSE 'cancelled' END, created_at, NULL, id
    FROM bookings WHERE order_id IS NULL AND status <> 'blocked'
    ORDER BY 1;

-- active_seat is NULL for a cancelled booking, so only bookings that take a seat can conflict: booked, held or blocked
-- by staff.
CREATE TABLE new_bookings (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER CONSTRAINT bookings_have_a_user REFERENCES users (id),
    show_id      INTEGER NOT NULL CONSTRAINT bookings_have_a_show REFERENCES shows (id),
    seat_number  INTEGER NOT NULL CONSTRAINT bookings_have_a_seat CHECK (seat_number >= 1),
    status       TEXT    NOT NULL
        CONSTRAINT bookings_have_a_status CHECK (status IN ('booked', 'cancelled', 'held', 'blocked')),
    created_at   INTEGER NOT NULL,
    cancelled_at INTEGER,
    order_id     INTEGER CONSTRAINT bookings_have_an_order REFERENCES new_orders (id),
    active_seat  INTEGER GENERATED ALWAYS AS (CASE WHEN status <> 'cancelled' THEN seat_number END) VIRTUAL,
    CONSTRAINT held_seats_have_an_order CHECK (status <> 'held' OR order_id IS NOT NULL),
    CONSTRAINT bookings_belong_to_a_user CHECK (status = 'blocked' OR user_id IS NOT NULL)
) STRICT;
INSERT INTO new_bookings (id, user_id, show_id, seat_number, status, created_at, cancelled_at, order_id)
    SELECT id, user_id, show_id, seat_number, status, created_at, cancelled_at,
        CASE WHEN order_id IS NULL AND status <> 'blocked' THEN id ELSE order_id END
    FROM bookings ORDER BY id;

DROP TABLE bookings;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
ALTER TABLE new_bookings RENAME TO bookings;

CREATE INDEX orders_of_a_user ON orders (user_id, created_at, id);
CREATE INDEX holds_of_a_user ON orders (user_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX holds_of_a_show ON orders (show_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX holds_by_user ON orders (held_by, expires_at) WHERE held_by IS NOT NULL;
CREATE INDEX holds_by_end ON orders (expires_at, created_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX one_holder_per_seat ON bookings (show_id, active_seat);
CREATE INDEX bookings_of_a_user ON bookings (user_id, created_at, id);
CREATE INDEX bookings_of_a_user_by_show ON bookings (user_id, show_id) WHERE status = 'booked';
CREATE INDEX bookings_of_an_order ON bookings (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX bookings_without_order ON bookings (id) WHERE order_id IS NULL AND status <> 'blocked';
