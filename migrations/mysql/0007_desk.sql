-- A reply to an Idempotency-Key is kept as it was sent, with its status. Where status is NULL a previous version stored the
-- reply, in a form of its own. As one statement, which begins with a new column: so it is known when it is met again.
ALTER TABLE idempotency_keys
    ADD COLUMN status SMALLINT,
    ADD COLUMN body MEDIUMTEXT;

-- What a user has of a show is counted without what they once had.
ALTER TABLE bookings ADD KEY bookings_of_a_user_by_show (user_id, show_id, status);
