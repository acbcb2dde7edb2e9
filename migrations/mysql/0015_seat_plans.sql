-- The versions of the screens' seat plans. A version never changes, so shows can refer to it and clients can keep it.
-- `document` is its JSON, and `source` the text that it was written as, if it was. `retired` lists the numbers up to
-- `highest_seat` that no seat has any more, as a JSON array.
CREATE TABLE IF NOT EXISTS plans (
    id           BIGINT     NOT NULL AUTO_INCREMENT PRIMARY KEY,
    screen_id    BIGINT     NOT NULL,
    version      BIGINT     NOT NULL,
    seats        BIGINT     NOT NULL,
    highest_seat BIGINT     NOT NULL,
    retired      MEDIUMTEXT NOT NULL,
    document     MEDIUMTEXT NOT NULL,
    source       MEDIUMTEXT NOT NULL,
    created_at   BIGINT     NOT NULL,
    CONSTRAINT plans_have_a_screen FOREIGN KEY (screen_id) REFERENCES screens (id),
    UNIQUE KEY one_plan_per_version (screen_id, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- The version that new shows on the screen get. NULL if it has no plan.
ALTER TABLE screens ADD COLUMN plan_id BIGINT;

-- The version that a show was made with, and whether it refuses to leave a single free seat; NULL: the setting applies.
ALTER TABLE shows ADD COLUMN plan_id BIGINT;
ALTER TABLE shows ADD COLUMN refuses_lone_seats TINYINT;

-- From when on a blocked seat is free. NULL: until staff release it.
ALTER TABLE bookings ADD COLUMN release_at BIGINT;

-- What staff want to know about a blocked seat, by the id of its row in bookings. Seats that become free by themselves
-- are not in shows.seats_taken; counts subtract those of them here whose time has not come.
CREATE TABLE IF NOT EXISTS blocked_seats (
    id          BIGINT       NOT NULL PRIMARY KEY,
    show_id     BIGINT       NOT NULL,
    seat_number BIGINT       NOT NULL,
    kind        VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason      VARCHAR(200) NOT NULL,
    release_at  BIGINT,
    blocked_at  BIGINT       NOT NULL,
    blocked_by  BIGINT       NOT NULL,
    KEY blocked_seats_of_a_show (show_id, release_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Seats of a screen that are blocked in each new show, until this number of minutes before it begins; NULL: until staff
-- release them.
CREATE TABLE IF NOT EXISTS standing_blocks (
    screen_id       BIGINT       NOT NULL,
    seat_number     BIGINT       NOT NULL,
    kind            VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason          VARCHAR(200) NOT NULL,
    release_minutes BIGINT,
    PRIMARY KEY (screen_id, seat_number),
    CONSTRAINT standing_blocks_have_a_screen FOREIGN KEY (screen_id) REFERENCES screens (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
