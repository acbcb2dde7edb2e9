-- An order: first a hold, which keeps seats for a few minutes, and then what it turns into. Its id comes from the same
-- blocks as the ids of bookings, and so does its version at each change, so neither is ever reused. expires_at is set
-- only while the order is held, and is 0 once the hold was released.
CREATE TABLE orders (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL CONSTRAINT orders_have_a_user REFERENCES users (id),
    show_id    INTEGER NOT NULL CONSTRAINT orders_have_a_show REFERENCES shows (id),
    status     TEXT    NOT NULL
        CONSTRAINT orders_have_a_status CHECK (status IN ('held', 'awaiting_payment', 'paid', 'cancelled', 'refunded')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    version    INTEGER NOT NULL,
    CONSTRAINT orders_expire_while_held CHECK ((status = 'held') = (expires_at IS NOT NULL))
) STRICT;
CREATE INDEX orders_of_a_user ON orders (user_id, created_at, id);
CREATE INDEX holds_of_a_user ON orders (user_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX holds_of_a_show ON orders (show_id, expires_at) WHERE expires_at IS NOT NULL;

-- active_seat is NULL for a cancelled booking, so only bookings that take a seat can conflict: booked, held or blocked
-- by staff.
-- A booking without an order is an order by itself, with its own id.
CREATE TABLE bookings_with_orders (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL CONSTRAINT bookings_have_a_user REFERENCES users (id),
    show_id      INTEGER NOT NULL CONSTRAINT bookings_have_a_show REFERENCES shows (id),
    seat_number  INTEGER NOT NULL CONSTRAINT bookings_have_a_seat CHECK (seat_number >= 1),
    status       TEXT    NOT NULL
        CONSTRAINT bookings_have_a_status CHECK (status IN ('booked', 'cancelled', 'held', 'blocked')),
    created_at   INTEGER NOT NULL,
    cancelled_at INTEGER,
    order_id     INTEGER CONSTRAINT bookings_have_an_order REFERENCES orders (id),
    active_seat  INTEGER GENERATED ALWAYS AS (CASE WHEN status <> 'cancelled' THEN seat_number END) VIRTUAL,
    CONSTRAINT held_seats_have_an_order CHECK (status <> 'held' OR order_id IS NOT NULL)
) STRICT;
INSERT INTO bookings_with_orders (id, user_id, show_id, seat_number, status, created_at, cancelled_at)
    SELECT id, user_id, show_id, seat_number, status, created_at, cancelled_at FROM bookings ORDER BY id;
DROP TABLE bookings;
ALTER TABLE bookings_with_orders RENAME TO bookings;
CREATE UNIQUE INDEX one_holder_per_seat ON bookings (show_id, active_seat);
CREATE INDEX bookings_of_a_user ON bookings (user_id, created_at, id);
CREATE INDEX bookings_of_an_order ON bookings (order_id) WHERE order_id IS NOT NULL;

-- A show's own sales rules; if one is NULL, the setting applies.
ALTER TABLE shows ADD COLUMN sales_open_at INTEGER;
ALTER TABLE shows ADD COLUMN sales_close_at INTEGER;
ALTER TABLE shows ADD COLUMN order_limit INTEGER CONSTRAINT shows_have_a_good_order_limit CHECK (order_limit >= 1);
ALTER TABLE shows ADD COLUMN user_limit INTEGER CONSTRAINT shows_have_a_good_user_limit CHECK (user_limit >= 1);

-- Keys that this installation generates when it first needs them, and keeps forever.
CREATE TABLE own_keys (
    name  TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
