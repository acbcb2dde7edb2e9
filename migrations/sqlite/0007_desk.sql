-- A reply to an Idempotency-Key is stored as it was sent, with its status. If status is NULL, an earlier version stored
-- the reply, in its own format.
ALTER TABLE idempotency_keys ADD COLUMN status INTEGER;
ALTER TABLE idempotency_keys ADD COLUMN body TEXT;

-- Counts a user's current seats of a show without reading the cancelled ones.
CREATE INDEX bookings_of_a_user_by_show ON bookings (user_id, show_id) WHERE status = 'booked';
