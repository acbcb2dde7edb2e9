-- A reply to an Idempotency-Key is stored as it was sent, with its status. If status is NULL, an earlier version stored
-- the reply, in its own format. One statement that starts with a new column, so that a repeated run can tell that it
-- was done.
ALTER TABLE idempotency_keys
    ADD COLUMN status SMALLINT,
    ADD COLUMN body MEDIUMTEXT;

-- Counts a user's current seats of a show without reading the cancelled ones.
ALTER TABLE bookings ADD KEY bookings_of_a_user_by_show (user_id, show_id, status);
