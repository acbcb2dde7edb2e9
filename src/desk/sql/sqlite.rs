//! The desk's SQL for SQLite. `{rows}` stands for the list that is the statement's parameter: a subquery over
//! `json_each` with the columns of the statement's record.
//!
//! The one writer of SQLite decides by this machine's clock, so no statement asks the database for the time.

use super::{BackgroundTexts, Texts};

pub const TEXTS: Texts = Texts {
    seat: "
        SELECT 0, s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.version, s.sales_open_at,
            s.sales_close_at, s.order_limit, s.user_limit, s.refuses_lone_seats, s.cancelled_at, s.plan_id, s.seat_version,
            s.unlisted_key, s.card_version_id,
            s.seats_taken, b.active_seat, b.id, b.status, b.release_at,
            o.expires_at
        FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
        LEFT JOIN bookings b ON b.show_id = s.id AND b.active_seat = ?
        LEFT JOIN orders o ON o.id = b.order_id
        WHERE s.id = ?",
    seats: "
        SELECT 0, s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.version, s.sales_open_at,
            s.sales_close_at, s.order_limit, s.user_limit, s.refuses_lone_seats, s.cancelled_at, s.plan_id, s.seat_version,
            s.unlisted_key, s.card_version_id,
            s.seats_taken, b.active_seat, b.id, b.status, b.release_at,
            o.expires_at
        FROM {rows} AS d
        JOIN shows s ON s.id = d.show_id JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
        LEFT JOIN bookings b ON b.show_id = d.show_id AND b.active_seat = d.seat
        LEFT JOIN orders o ON o.id = b.order_id",
    all_seats: "
        SELECT b.active_seat, b.id, b.status, b.release_at, o.expires_at
        FROM bookings b INDEXED BY one_holder_per_seat
        LEFT JOIN orders o ON b.status = 'held' AND o.id = b.order_id
        WHERE b.show_id = ? AND b.active_seat >= 1",
    orders_of_bookings: "
        SELECT b.id, b.order_id FROM {rows} AS d
        JOIN bookings b ON b.id = d.id AND b.status IN ('booked', 'cancelled')",
    orders: "
        SELECT 0, s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.version, s.sales_open_at,
            s.sales_close_at, s.order_limit, s.user_limit, s.refuses_lone_seats, s.cancelled_at, s.plan_id, s.seat_version,
            s.unlisted_key, s.card_version_id,
            s.seats_taken,
            o.id, o.user_id, o.status, o.created_at, o.expires_at, o.version, b.id, b.seat_number, b.status, b.created_at,
            b.price_id, r.amount
        FROM {rows} AS d JOIN orders o ON o.id = d.id
        JOIN shows s ON s.id = o.show_id JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
        LEFT JOIN bookings b INDEXED BY bookings_of_an_order ON b.order_id = o.id
        LEFT JOIN refunds_due r ON r.order_id = o.id",
    paid_seats: "
        SELECT l.booking_id FROM {rows} AS d JOIN ledger l ON l.order_id = d.id
        GROUP BY l.booking_id HAVING SUM(l.admissions) > 0",
    open_tills: "SELECT t.id FROM {rows} AS d JOIN till_days t ON t.id = d.id AND t.closed_at IS NULL",
    usage: "
        SELECT d.user_id, d.show_id,
            (SELECT COUNT(*) FROM orders o INDEXED BY holds_by_show
             WHERE o.held_in = d.show_id AND o.held_by = d.user_id AND o.expires_at > d.now),
            (SELECT COUNT(*) FROM orders o INDEXED BY holds_by_show
             JOIN bookings b INDEXED BY bookings_of_an_order ON b.order_id = o.id
             WHERE o.held_in = d.show_id AND o.held_by = d.user_id AND o.expires_at > d.now),
            CASE WHEN d.counts_booked = 1 THEN
                CASE WHEN (SELECT b.id FROM bookings b INDEXED BY bookings_of_a_user
                      WHERE b.user_id = d.user_id LIMIT 1 OFFSET 1000) IS NULL THEN
                    (SELECT COUNT(*) FROM bookings b INDEXED BY bookings_of_a_user
                     WHERE b.user_id = d.user_id AND b.show_id = d.show_id AND b.status = 'booked')
                ELSE
                    (SELECT COUNT(*) FROM bookings b INDEXED BY one_holder_per_seat
                     WHERE b.show_id = d.show_id AND b.active_seat >= 1 AND b.user_id = d.user_id AND b.status = 'booked')
                END
            ELSE 0 END,
            (SELECT COUNT(*) FROM orders o INDEXED BY indirect_orders_of_a_user
             WHERE o.indexed_user = d.user_id AND o.created_at > d.minute_ago
             AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.id = o.id))
        FROM {rows} AS d",
    replies: "
        SELECT 0, k.key_high, k.key_low, k.payload, k.status, COALESCE(k.body, k.reply), k.created_at FROM {rows} AS d
        JOIN idempotency_keys k ON k.key_high = d.key_high AND k.key_low = d.key_low",
    update_show: "
        UPDATE shows SET seats_taken = seats_taken + ?, seat_version = seat_version + 1
        WHERE id = ? AND total_seats >= ? AND date_time > ? AND version = ?
        AND seats_taken + ? BETWEEN 0 AND total_seats",
    update_shows: "",
    unchanged_shows: "
        SELECT s.id FROM {rows} AS d JOIN shows s ON s.id = d.id AND s.seat_version = d.seat_version + 1",
    has_room: "
        SELECT d.user_id FROM {rows} AS d WHERE
            (SELECT COUNT(*) FROM orders o INDEXED BY holds_by_show
             WHERE o.held_in = d.show_id AND o.held_by = d.user_id AND o.expires_at > d.now) <= d.holds
        AND (SELECT COUNT(*) FROM orders o INDEXED BY holds_by_show
             JOIN bookings b INDEXED BY bookings_of_an_order ON b.order_id = o.id
             WHERE o.held_in = d.show_id AND o.held_by = d.user_id AND o.expires_at > d.now) <= d.held_seats
        AND (d.counts_booked = 0 OR
            (SELECT COUNT(*) FROM orders o INDEXED BY holds_by_show
             JOIN bookings b INDEXED BY bookings_of_an_order ON b.order_id = o.id
             WHERE o.held_in = d.show_id AND o.held_by = d.user_id AND o.expires_at > d.now) +
            CASE WHEN (SELECT b.id FROM bookings b INDEXED BY bookings_of_a_user
                  WHERE b.user_id = d.user_id LIMIT 1 OFFSET 1000) IS NULL THEN
                (SELECT COUNT(*) FROM bookings b INDEXED BY bookings_of_a_user
                 WHERE b.user_id = d.user_id AND b.show_id = d.show_id AND b.status = 'booked')
            ELSE
                (SELECT COUNT(*) FROM bookings b INDEXED BY one_holder_per_seat
                 WHERE b.show_id = d.show_id AND b.active_seat >= 1 AND b.user_id = d.user_id AND b.status = 'booked')
            END <= d.seats)
        AND (SELECT COUNT(*) FROM orders o INDEXED BY indirect_orders_of_a_user
             WHERE o.indexed_user = d.user_id AND o.created_at > d.minute_ago
             AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.id = o.id)) <= d.recent_holds",
    update_orders: "
        UPDATE orders AS o SET status = d.status, expires_at = NULLIF(d.expires_at, -1), version = d.new_version
        FROM {rows} AS d
        WHERE o.id = d.id AND o.version = d.version
        AND (d.is_held = 0 OR o.status = 'held' AND o.expires_at > d.now)",
    insert_order: "
        INSERT INTO orders (id, user_id, show_id, status, created_at, expires_at, version, is_direct)
        VALUES (?, ?, ?, ?, ?, NULLIF(?, -1), ?, NULLIF(?, 0))",
    insert_orders: "",
    insert_booked_orders: "",
    end_holds: "
        UPDATE orders SET expires_at = 1 WHERE id IN
            (SELECT o.id FROM {rows} AS d JOIN bookings b ON b.id = d.id JOIN orders o ON o.id = b.order_id
             WHERE o.status = 'held' AND o.expires_at <= d.at)",
    delete_held: "
        DELETE FROM bookings WHERE id IN
            (SELECT b.id FROM {rows} AS d JOIN bookings b ON b.id = d.id JOIN orders o ON o.id = b.order_id
             WHERE b.status = 'held' AND COALESCE(o.expires_at, 0) <= d.at)",
    reprice_seats: "
        UPDATE bookings AS b SET price_id = d.price FROM {rows} AS d WHERE b.id = d.id AND b.status = 'held'",
    confirm_seats: "
        UPDATE bookings AS b SET status = 'booked', created_at = d.at
        FROM {rows} AS d WHERE b.id = d.id AND b.status = 'held'",
    cancel_seats: "
        UPDATE bookings AS b SET status = 'cancelled', cancelled_at = d.at, cancelled_by = d.by_user
        FROM {rows} AS d WHERE b.id = d.id AND b.status = 'booked'",
    insert_booking: "
        INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at, order_id, price_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, NULLIF(?, 0))",
    insert_bookings: "",
    insert_booked_seats: "",
    insert_priced_seats: "",
    delete_blocked: "
        DELETE FROM bookings WHERE status = 'blocked' AND id IN (SELECT d.id FROM {rows} AS d)",
    delete_blocked_details: "
        DELETE FROM blocked_seats WHERE kind <> 'retired' AND id IN (SELECT d.id FROM {rows} AS d)",
    insert_blocked: "
        INSERT INTO bookings (id, show_id, seat_number, status, created_at, release_at)
        SELECT d.id, d.show_id, d.seat, 'blocked', d.at, NULLIF(d.release_at, -1) FROM {rows} AS d",
    insert_blocked_details: "
        INSERT INTO blocked_seats (id, show_id, seat_number, kind, reason, release_at, blocked_at, blocked_by)
        SELECT d.id, d.show_id, d.seat, d.kind, d.reason, NULLIF(d.release_at, -1), d.at, d.by_user FROM {rows} AS d",
    delete_due: "DELETE FROM refunds_due WHERE order_id IN (SELECT d.order_id FROM {rows} AS d)",
    insert_due: "
        INSERT INTO refunds_due (order_id, amount) SELECT d.order_id, d.amount FROM {rows} AS d WHERE d.amount > 0",
    update_tills: "
        UPDATE till_days AS t SET last_number = last_number + d.entries FROM {rows} AS d
        WHERE t.id = d.id AND t.closed_at IS NULL",
    insert_entries: "
        INSERT INTO ledger (till_day_id, number, kind, act_id, method, amount, tax_rate, tax, reported, admissions, currency,
            order_id, booking_id, show_id, seat, price_id, type_code, day, show_day, staff_id, at, note)
        SELECT d.till_day, t.last_number - d.back, d.kind, d.act_id, d.method, d.amount, d.tax_rate, d.tax, d.reported,
            d.admissions, d.currency, d.order_id, d.booking_id, d.show_id, d.seat, d.price_id, d.type_code, t.day,
            d.show_day, NULLIF(d.staff, 0), d.at, ''
        FROM {rows} AS d JOIN till_days t ON t.id = d.till_day",
    delete_keys: "
        DELETE FROM idempotency_keys WHERE (key_high, key_low, created_at) IN
            (SELECT key_high, key_low, created_at FROM {rows})",
    insert_replies: "
        INSERT INTO idempotency_keys (key_high, key_low, payload, reply, created_at, status, body)
        SELECT d.key_high, d.key_low, d.payload, '', d.at, d.status, d.body FROM {rows} AS d",
    written_rows: "SELECT b.id FROM {rows} AS d JOIN bookings b ON b.id = d.id",
    written_orders: "
        SELECT o.version = d.new_version FROM {rows} AS d JOIN orders o ON o.id = d.id
        WHERE o.version IN (d.version, d.new_version)",
    written_replies: "
        SELECT k.key_low FROM {rows} AS d
        JOIN idempotency_keys k ON k.key_high = d.key_high AND k.key_low = d.key_low AND k.created_at = d.at",
};

pub const BACKGROUND: BackgroundTexts = BackgroundTexts {
    by_lack_of_an_order: "INDEXED BY bookings_without_order",
    set_orders: "
        UPDATE bookings AS b SET order_id = b.id FROM {rows} AS d
        WHERE b.id = d.id AND b.order_id IS NULL AND b.status <> 'blocked'",
    set_codes: "UPDATE orders AS o SET has_code = 1 FROM {rows} AS d WHERE o.id = d.id",
    delete_old_keys: "
        DELETE FROM idempotency_keys WHERE (key_high, key_low) IN
            (SELECT key_high, key_low FROM idempotency_keys WHERE {old} LIMIT 1000)",
    delete_seats: "
        DELETE FROM bookings WHERE status = 'held' AND order_id IN
            (SELECT o.id FROM {rows} AS d JOIN orders o ON o.id = d.id WHERE {ended})",
    delete_holds: "
        DELETE FROM orders WHERE id IN (SELECT o.id FROM {rows} AS d JOIN orders o ON o.id = d.id WHERE {ended})",
    protect_ledger: &[],
};
