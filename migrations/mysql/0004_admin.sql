-- Sessions of the admin panel. The cookie holds a secret; only its SHA-256 is stored.
CREATE TABLE IF NOT EXISTS admin_sessions (
    token_hash BINARY(32) NOT NULL PRIMARY KEY,
    user_id    BIGINT     NOT NULL,
    created_at BIGINT     NOT NULL,
    seen_at    BIGINT     NOT NULL,
    CONSTRAINT sessions_have_a_user FOREIGN KEY (user_id) REFERENCES users (id),
    KEY admin_sessions_of_a_user (user_id),
    KEY admin_sessions_by_use (seen_at)
) ENGINE = InnoDB;

-- Permissions of staff, in the form 'model.view', '.add', '.change' or '.delete'.
CREATE TABLE IF NOT EXISTS staff_groups (
    id      BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name    VARCHAR(150) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    version BIGINT       NOT NULL DEFAULT 1,
    CONSTRAINT groups_have_a_name CHECK (name <> ''),
    UNIQUE KEY one_group_per_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE TABLE IF NOT EXISTS group_permissions (
    group_id   BIGINT      NOT NULL,
    permission VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    CONSTRAINT permissions_have_a_group FOREIGN KEY (group_id) REFERENCES staff_groups (id),
    PRIMARY KEY (group_id, permission)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS group_members (
    user_id  BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    CONSTRAINT members_are_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT members_have_a_group FOREIGN KEY (group_id) REFERENCES staff_groups (id),
    PRIMARY KEY (user_id, group_id),
    KEY members_of_a_group (group_id)
) ENGINE = InnoDB;

-- Who changed what. Rows are only added. Names are stored as text, because the named objects may be deleted later.
CREATE TABLE IF NOT EXISTS admin_log (
    id        BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at        BIGINT       NOT NULL,
    user_id   BIGINT       NOT NULL,
    username  VARCHAR(150) NOT NULL,
    address   VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    model     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    object_id BIGINT       NOT NULL,
    object    TEXT         NOT NULL,
    action    VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changes   MEDIUMTEXT   NOT NULL,
    KEY admin_log_of_an_object (model, object_id, id),
    KEY admin_log_of_a_user (user_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A cancelled show accepts no bookings and is not listed.
ALTER TABLE shows ADD COLUMN cancelled_at BIGINT;

-- The panel searches the beginnings of these texts, ignoring letter case.
ALTER TABLE movies ADD KEY movies_by_title (title);
ALTER TABLE users
    ADD KEY users_by_email (email),
    ADD KEY users_by_first_name (first_name),
    ADD KEY users_by_last_name (last_name),
    ADD KEY users_by_join (date_joined),
    ADD KEY staff_users (is_staff),
    ADD KEY superusers (is_superuser),
    ADD KEY users_switched_off (is_active);
