-- Counts the held seats of a show, limits those of a user in it, and finds the holds that have ended. Only holds have values
-- in these columns, so an order that was never held costs little here.
ALTER TABLE orders
    ADD COLUMN held_in INTEGER GENERATED ALWAYS AS (CASE WHEN status = 'held' THEN show_id END) VIRTUAL;
CREATE INDEX holds_by_show ON orders (held_in, held_by, expires_at) WHERE held_in IS NOT NULL;
