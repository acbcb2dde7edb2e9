-- A reply to an Idempotency-Key is kept as it was sent, with its status. Where status is NULL a previous version stored the
-- reply, in a form of its own.
ALTER TABLE idempotency_keys ADD COLUMN status INTEGER;
ALTER TABLE idempotency_keys ADD COLUMN body TEXT;

-- What a user has of a show is counted without what they once had.
CREATE INDEX bookings_of_a_user_by_show ON bookings (user_id, show_id) WHERE status = 'booked';
