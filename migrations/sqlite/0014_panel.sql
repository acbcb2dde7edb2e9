-- Who cancelled a booking: the id of the user, 0 for staff. NULL if it is not known, as for older bookings.
ALTER TABLE bookings ADD COLUMN cancelled_by INTEGER;

-- The history can be narrowed to a period.
CREATE INDEX admin_log_by_time ON admin_log (at);

-- The panel finds the few orders with a rare status, such as refunded ones.
CREATE INDEX orders_by_status ON orders (status);

-- Forms of the panel that were saved, by the hash of their token and content, so that sending one twice saves it once.
CREATE TABLE used_forms (
    form_hash BLOB    PRIMARY KEY,
    used_at   INTEGER NOT NULL,
    object_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_forms_by_time ON used_forms (used_at);

-- Paying, refunding and cancelling become permissions of their own. Groups keep what they could do.
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT group_id, 'orders.view' FROM group_permissions WHERE permission = 'orders.change';
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT group_id, 'bookings.view' FROM group_permissions WHERE permission = 'bookings.change';
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT group_id, 'orders.pay' FROM group_permissions WHERE permission = 'orders.change';
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT o.group_id, n.permission
    FROM group_permissions o JOIN group_permissions b ON b.group_id = o.group_id AND b.permission = 'bookings.change'
    JOIN (SELECT 'orders.refund' AS permission UNION ALL SELECT 'orders.cancel') n
    WHERE o.permission = 'orders.change';
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT o.group_id, 'shows.cancel'
    FROM group_permissions o JOIN group_permissions b ON b.group_id = o.group_id AND b.permission = 'bookings.change'
    JOIN group_permissions h ON h.group_id = o.group_id AND h.permission = 'holds.change'
    JOIN group_permissions s ON s.group_id = o.group_id AND s.permission = 'shows.change'
    WHERE o.permission = 'orders.change';

-- Groups to begin with. A group that has such a name already stays as it is: only one that nobody has used yet gets
-- permissions.
INSERT OR IGNORE INTO staff_groups (name) VALUES ('Counter'), ('Programme'), ('Manager');
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT g.id, p.permission
    FROM staff_groups g JOIN (
        SELECT 'movies.view' AS permission, 1 AS counter, 1 AS programme
        UNION ALL SELECT 'movies.add', 0, 1
        UNION ALL SELECT 'movies.change', 0, 1
        UNION ALL SELECT 'movies.delete', 0, 1
        UNION ALL SELECT 'screens.view', 1, 1
        UNION ALL SELECT 'screens.add', 0, 1
        UNION ALL SELECT 'screens.change', 0, 1
        UNION ALL SELECT 'screens.delete', 0, 1
        UNION ALL SELECT 'shows.view', 1, 1
        UNION ALL SELECT 'shows.add', 0, 1
        UNION ALL SELECT 'shows.change', 0, 1
        UNION ALL SELECT 'shows.delete', 0, 1
        UNION ALL SELECT 'shows.cancel', 0, 0
        UNION ALL SELECT 'bookings.view', 1, 1
        UNION ALL SELECT 'orders.view', 1, 0
        UNION ALL SELECT 'orders.pay', 1, 0
        UNION ALL SELECT 'orders.refund', 0, 0
        UNION ALL SELECT 'orders.cancel', 1, 0
        UNION ALL SELECT 'holds.view', 1, 1
        UNION ALL SELECT 'holds.change', 1, 0
        UNION ALL SELECT 'users.view', 1, 0
        UNION ALL SELECT 'users.add', 0, 0
        UNION ALL SELECT 'users.change', 0, 0
        UNION ALL SELECT 'users.erase', 0, 0
        UNION ALL SELECT 'groups.view', 0, 0
    ) p
    WHERE (g.name = 'Manager' OR g.name = 'Counter' AND p.counter = 1 OR g.name = 'Programme' AND p.programme = 1)
    AND g.version = 1
    AND NOT EXISTS (SELECT 1 FROM group_permissions x WHERE x.group_id = g.id)
    AND NOT EXISTS (SELECT 1 FROM group_members m WHERE m.group_id = g.id);
