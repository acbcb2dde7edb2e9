-- Sessions of the admin panel. The cookie holds a secret; only its SHA-256 is stored.
CREATE TABLE admin_sessions (
    token_hash BLOB    PRIMARY KEY,
    user_id    INTEGER NOT NULL CONSTRAINT sessions_have_a_user REFERENCES users (id),
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX admin_sessions_of_a_user ON admin_sessions (user_id);
CREATE INDEX admin_sessions_by_use ON admin_sessions (seen_at);

-- Permissions of staff, in the form 'model.view', '.add', '.change' or '.delete'.
CREATE TABLE staff_groups (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL CONSTRAINT groups_have_a_name CHECK (name <> ''),
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_group_per_name ON staff_groups (name);
CREATE TABLE group_permissions (
    group_id   INTEGER NOT NULL CONSTRAINT permissions_have_a_group REFERENCES staff_groups (id),
    permission TEXT    NOT NULL,
    PRIMARY KEY (group_id, permission)
) STRICT, WITHOUT ROWID;
CREATE TABLE group_members (
    user_id  INTEGER NOT NULL CONSTRAINT members_are_users REFERENCES users (id),
    group_id INTEGER NOT NULL CONSTRAINT members_have_a_group REFERENCES staff_groups (id),
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_of_a_group ON group_members (group_id);

-- Who changed what. Rows are only added. Names are stored as text, because the named objects may be deleted later.
CREATE TABLE admin_log (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    user_id   INTEGER NOT NULL,
    username  TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    model     TEXT    NOT NULL,
    object_id INTEGER NOT NULL,
    object    TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    changes   TEXT    NOT NULL
) STRICT;
CREATE INDEX admin_log_of_an_object ON admin_log (model, object_id, id);
CREATE INDEX admin_log_of_a_user ON admin_log (user_id, id);

-- A cancelled show accepts no bookings and is not listed.
ALTER TABLE shows ADD COLUMN cancelled_at INTEGER;

-- The panel searches the beginnings of these texts, ignoring letter case.
CREATE INDEX movies_by_title ON movies (title COLLATE NOCASE);
CREATE INDEX users_by_email ON users (email COLLATE NOCASE);
CREATE INDEX users_by_first_name ON users (first_name COLLATE NOCASE);
CREATE INDEX users_by_last_name ON users (last_name COLLATE NOCASE);
CREATE INDEX users_by_join ON users (date_joined);
CREATE INDEX staff_users ON users (is_staff) WHERE is_staff = 1;
CREATE INDEX superusers ON users (is_superuser) WHERE is_superuser = 1;
CREATE INDEX users_switched_off ON users (is_active) WHERE is_active = 0;
CREATE INDEX orders_of_a_show ON orders (show_id);
