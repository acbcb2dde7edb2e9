-- Times are UTC microseconds since 1970. AUTOINCREMENT: an id is never reused, not even after a delete.

CREATE TABLE users (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    username     TEXT    NOT NULL,
    username_key TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    first_name   TEXT    NOT NULL DEFAULT '',
    last_name    TEXT    NOT NULL DEFAULT '',
    password     TEXT    NOT NULL,
    is_active    INTEGER NOT NULL DEFAULT 1 CONSTRAINT users_is_active_is_boolean CHECK (is_active IN (0, 1)),
    is_staff     INTEGER NOT NULL DEFAULT 0 CONSTRAINT users_is_staff_is_boolean CHECK (is_staff IN (0, 1)),
    is_superuser INTEGER NOT NULL DEFAULT 0 CONSTRAINT users_is_superuser_is_boolean CHECK (is_superuser IN (0, 1)),
    date_joined  INTEGER NOT NULL,
    last_login   INTEGER,
    version      INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_account_per_username ON users (username_key);

CREATE TABLE movies (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    title            TEXT    NOT NULL CONSTRAINT movies_have_a_title CHECK (title <> ''),
    duration_minutes INTEGER NOT NULL CONSTRAINT movies_have_a_duration CHECK (duration_minutes BETWEEN 1 AND 2147483647),
    version          INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE screens (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL CONSTRAINT screens_have_a_name CHECK (name <> ''),
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_screen_per_name ON screens (name);

-- seats_taken and seat_version change with every change of the show's seats, in the same transaction. The check makes
-- the database itself refuse to oversell; seat_version numbers the changes without gaps.
CREATE TABLE shows (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    movie_id     INTEGER NOT NULL CONSTRAINT shows_have_a_movie REFERENCES movies (id),
    screen_id    INTEGER NOT NULL CONSTRAINT shows_have_a_screen REFERENCES screens (id),
    date_time    INTEGER NOT NULL,
    total_seats  INTEGER NOT NULL CONSTRAINT shows_have_seats CHECK (total_seats BETWEEN 0 AND 2147483647),
    seats_taken  INTEGER NOT NULL DEFAULT 0,
    seat_version INTEGER NOT NULL DEFAULT 0,
    version      INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT shows_never_oversold CHECK (seats_taken BETWEEN 0 AND total_seats)
) STRICT;
CREATE INDEX shows_of_a_movie ON shows (movie_id, date_time, id);
CREATE INDEX shows_of_a_screen ON shows (screen_id, date_time);
CREATE INDEX shows_by_time ON shows (date_time);

-- active_seat is NULL for a cancelled booking, so only bookings that hold a seat can conflict.
CREATE TABLE bookings (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL CONSTRAINT bookings_have_a_user REFERENCES users (id),
    show_id      INTEGER NOT NULL CONSTRAINT bookings_have_a_show REFERENCES shows (id),
    seat_number  INTEGER NOT NULL CONSTRAINT bookings_have_a_seat CHECK (seat_number >= 1),
    status       TEXT    NOT NULL CONSTRAINT bookings_have_a_known_status CHECK (status IN ('booked', 'cancelled')),
    created_at   INTEGER NOT NULL,
    cancelled_at INTEGER,
    active_seat  INTEGER GENERATED ALWAYS AS (CASE WHEN status = 'booked' THEN seat_number END) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX one_holder_per_seat ON bookings (show_id, active_seat);
CREATE INDEX bookings_of_a_user ON bookings (user_id, created_at, id);

-- Blocks of ids are reserved here before they are used, so an id is never assigned twice, whatever crashes.
CREATE TABLE id_blocks (
    name    TEXT    PRIMARY KEY,
    next_id INTEGER NOT NULL
) STRICT;
INSERT INTO id_blocks (name, next_id) VALUES ('bookings', 1);
