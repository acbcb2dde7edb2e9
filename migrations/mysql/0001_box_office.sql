-- Times are UTC microseconds since 1970. DDL commits by itself here, so each statement can be run again after a crash.

CREATE TABLE IF NOT EXISTS users (
    id           BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username     VARCHAR(150) NOT NULL,
    username_key VARBINARY(750) NOT NULL,
    email        VARCHAR(254) NOT NULL,
    first_name   VARCHAR(150) NOT NULL DEFAULT '',
    last_name    VARCHAR(150) NOT NULL DEFAULT '',
    password     VARCHAR(256) NOT NULL,
    is_active    TINYINT      NOT NULL DEFAULT 1,
    is_staff     TINYINT      NOT NULL DEFAULT 0,
    is_superuser TINYINT      NOT NULL DEFAULT 0,
    date_joined  BIGINT       NOT NULL,
    last_login   BIGINT,
    version      BIGINT       NOT NULL DEFAULT 1,
    CONSTRAINT users_is_active_is_boolean CHECK (is_active IN (0, 1)),
    CONSTRAINT users_is_staff_is_boolean CHECK (is_staff IN (0, 1)),
    CONSTRAINT users_is_superuser_is_boolean CHECK (is_superuser IN (0, 1)),
    UNIQUE KEY one_account_per_username (username_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS movies (
    id               BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    title            VARCHAR(255) NOT NULL,
    duration_minutes BIGINT       NOT NULL,
    version          BIGINT       NOT NULL DEFAULT 1,
    CONSTRAINT movies_have_a_title CHECK (title <> ''),
    CONSTRAINT movies_have_a_duration CHECK (duration_minutes BETWEEN 1 AND 2147483647)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS screens (
    id      BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    version BIGINT       NOT NULL DEFAULT 1,
    CONSTRAINT screens_have_a_name CHECK (name <> ''),
    UNIQUE KEY one_screen_per_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- seats_taken and seat_version change with every change of the show's seats, in the same transaction. The check makes
-- the database itself refuse to oversell; seat_version numbers the changes without gaps.
CREATE TABLE IF NOT EXISTS shows (
    id           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    movie_id     BIGINT NOT NULL,
    screen_id    BIGINT NOT NULL,
    date_time    BIGINT NOT NULL,
    total_seats  BIGINT NOT NULL,
    seats_taken  BIGINT NOT NULL DEFAULT 0,
    seat_version BIGINT NOT NULL DEFAULT 0,
    version      BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT shows_have_a_movie FOREIGN KEY (movie_id) REFERENCES movies (id),
    CONSTRAINT shows_have_a_screen FOREIGN KEY (screen_id) REFERENCES screens (id),
    CONSTRAINT shows_have_seats CHECK (total_seats BETWEEN 0 AND 2147483647),
    CONSTRAINT shows_never_oversold CHECK (seats_taken BETWEEN 0 AND total_seats),
    KEY shows_of_a_movie (movie_id, date_time, id),
    KEY shows_of_a_screen (screen_id, date_time),
    KEY shows_by_time (date_time)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- active_seat is NULL for a cancelled booking, so only bookings that hold a seat can conflict.
CREATE TABLE IF NOT EXISTS bookings (
    id           BIGINT NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL,
    show_id      BIGINT NOT NULL,
    seat_number  INT    NOT NULL,
    status       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at   BIGINT NOT NULL,
    cancelled_at BIGINT,
    active_seat  INT GENERATED ALWAYS AS (CASE WHEN status = 'booked' THEN seat_number END) VIRTUAL,
    CONSTRAINT bookings_have_a_user FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT bookings_have_a_show FOREIGN KEY (show_id) REFERENCES shows (id),
    CONSTRAINT bookings_have_a_seat CHECK (seat_number >= 1),
    CONSTRAINT bookings_have_a_known_status CHECK (status IN ('booked', 'cancelled')),
    UNIQUE KEY one_holder_per_seat (show_id, active_seat),
    KEY bookings_of_a_user (user_id, created_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Blocks of ids are reserved here before they are used, so an id is never assigned twice, whatever crashes.
CREATE TABLE IF NOT EXISTS id_blocks (
    name    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    next_id BIGINT      NOT NULL
) ENGINE = InnoDB;
INSERT IGNORE INTO id_blocks (name, next_id) VALUES ('bookings', 1);
