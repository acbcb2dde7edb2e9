-- An order: first a hold, which keeps seats for a few minutes, and then what it turns into. Its id comes from the same
-- blocks as the ids of bookings, and so does its version at each change, so neither is ever reused. expires_at is set
-- only while the order is held, and is 0 once the hold was released.
CREATE TABLE IF NOT EXISTS orders (
    id         BIGINT NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    show_id    BIGINT NOT NULL,
    status     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    version    BIGINT NOT NULL,
    CONSTRAINT orders_have_a_user FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT orders_have_a_show FOREIGN KEY (show_id) REFERENCES shows (id),
    CONSTRAINT orders_have_a_status CHECK (status IN ('held', 'awaiting_payment', 'paid', 'cancelled', 'refunded')),
    CONSTRAINT orders_expire_while_held CHECK ((status = 'held') = (expires_at IS NOT NULL)),
    KEY orders_of_a_user (user_id, created_at, id),
    KEY holds_of_a_user (user_id, expires_at),
    KEY holds_of_a_show (show_id, expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- active_seat is NULL for a cancelled booking, so only bookings that take a seat can conflict: booked, held or blocked
-- by staff.
-- A booking without an order is an order by itself, with its own id. One statement that starts with a new column, so
-- that it is atomic and a repeated run can tell that it was done.
ALTER TABLE bookings
    ADD COLUMN order_id BIGINT,
    DROP CONSTRAINT bookings_have_a_known_status,
    ADD CONSTRAINT bookings_have_a_status CHECK (status IN ('booked', 'cancelled', 'held', 'blocked')),
    ADD CONSTRAINT held_seats_have_an_order CHECK (status <> 'held' OR order_id IS NOT NULL),
    MODIFY COLUMN active_seat INT GENERATED ALWAYS AS (CASE WHEN status <> 'cancelled' THEN seat_number END) VIRTUAL,
    ADD KEY bookings_of_an_order (order_id),
    ADD CONSTRAINT bookings_have_an_order FOREIGN KEY (order_id) REFERENCES orders (id);

-- A show's own sales rules; if one is NULL, the setting applies.
ALTER TABLE shows
    ADD COLUMN sales_open_at BIGINT,
    ADD COLUMN sales_close_at BIGINT,
    ADD COLUMN order_limit BIGINT,
    ADD COLUMN user_limit BIGINT,
    ADD CONSTRAINT shows_have_a_good_order_limit CHECK (order_limit >= 1),
    ADD CONSTRAINT shows_have_a_good_user_limit CHECK (user_limit >= 1);

-- Keys that this installation generates when it first needs them, and keeps forever.
CREATE TABLE IF NOT EXISTS own_keys (
    name  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    bytes VARBINARY(64) NOT NULL
) ENGINE = InnoDB;
