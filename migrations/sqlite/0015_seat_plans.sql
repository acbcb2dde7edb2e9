-- The versions of the screens' seat plans. A version never changes, so shows can refer to it and clients can keep it.
-- `document` is its JSON, and `source` the text that it was written as, if it was. `retired` lists the numbers up to
-- `highest_seat` that no seat has any more, as a JSON array.
CREATE TABLE plans (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    screen_id    INTEGER NOT NULL CONSTRAINT plans_have_a_screen REFERENCES screens (id),
    version      INTEGER NOT NULL,
    seats        INTEGER NOT NULL,
    highest_seat INTEGER NOT NULL,
    retired      TEXT    NOT NULL,
    document     TEXT    NOT NULL,
    source       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_plan_per_version ON plans (screen_id, version);

-- The version that new shows on the screen get. NULL if it has no plan.
ALTER TABLE screens ADD COLUMN plan_id INTEGER;

-- The version that a show was made with, and whether it refuses to leave a single free seat; NULL: the setting applies.
ALTER TABLE shows ADD COLUMN plan_id INTEGER;
ALTER TABLE shows ADD COLUMN refuses_lone_seats INTEGER;

-- From when on a blocked seat is free. NULL: until staff release it.
ALTER TABLE bookings ADD COLUMN release_at INTEGER;

-- What staff want to know about a blocked seat, by the id of its row in bookings. Seats that become free by themselves
-- are not in shows.seats_taken; counts subtract those of them here whose time has not come.
CREATE TABLE blocked_seats (
    id          INTEGER PRIMARY KEY,
    show_id     INTEGER NOT NULL,
    seat_number INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    release_at  INTEGER,
    blocked_at  INTEGER NOT NULL,
    blocked_by  INTEGER NOT NULL
) STRICT;
CREATE INDEX blocked_seats_of_a_show ON blocked_seats (show_id, release_at);

-- Seats of a screen that are blocked in each new show, until this number of minutes before it begins; NULL: until staff
-- release them.
CREATE TABLE standing_blocks (
    screen_id       INTEGER NOT NULL CONSTRAINT standing_blocks_have_a_screen REFERENCES screens (id),
    seat_number     INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    release_minutes INTEGER,
    PRIMARY KEY (screen_id, seat_number)
) STRICT;
