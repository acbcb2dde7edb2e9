-- Where money is taken. The one with `is_online` 1 has the free tickets that customers confirm themselves.
CREATE TABLE tills (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    is_online  INTEGER NOT NULL DEFAULT 0,
    is_retired INTEGER NOT NULL DEFAULT 0,
    version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_till_per_name ON tills (name);

-- A till on a business day, from its opening to its close. `last_number` is the number of its last entry in the ledger. What
-- a close has found is written once: the entries, the sums of their amounts, the cash that was expected and counted, and
-- a hash of all of it and of the till's previous close.
CREATE TABLE till_days (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    till_id     INTEGER NOT NULL CONSTRAINT till_days_have_a_till REFERENCES tills (id),
    day         TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    opened_at   INTEGER NOT NULL,
    opened_by   INTEGER,
    last_number INTEGER NOT NULL DEFAULT 0,
    closed_at   INTEGER,
    closed_by   INTEGER,
    expected    INTEGER,
    counted     INTEGER,
    note        TEXT    NOT NULL DEFAULT '',
    hash        TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX one_day_of_a_till ON till_days (till_id, day);

-- Every movement of money and every free ticket. Rows are only added; a correction is a row of its own. Their numbers have no
-- gaps within a till's day. Amounts are in minor units, negative if money is returned. The rows of one act have the same
-- `act_id`. `day` is the business day of the payment, `show_day` that of the show at this moment.
CREATE TABLE ledger (
    till_day_id INTEGER NOT NULL CONSTRAINT ledger_has_till_days REFERENCES till_days (id),
    number      INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    act_id      INTEGER NOT NULL,
    method      TEXT    NOT NULL,
    amount      INTEGER NOT NULL,
    tax_rate    INTEGER NOT NULL,
    tax         INTEGER NOT NULL,
    reported    INTEGER NOT NULL,
    admissions  INTEGER NOT NULL,
    currency    TEXT    NOT NULL,
    order_id    INTEGER,
    booking_id  INTEGER,
    show_id     INTEGER,
    seat        INTEGER,
    price_id    INTEGER,
    type_code   TEXT    NOT NULL,
    day         TEXT    NOT NULL,
    show_day    TEXT    NOT NULL,
    staff_id    INTEGER,
    at          INTEGER NOT NULL,
    note        TEXT    NOT NULL,
    PRIMARY KEY (till_day_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_of_an_order ON ledger (order_id);
CREATE INDEX ledger_of_a_day ON ledger (day);
CREATE INDEX ledger_of_a_show_day ON ledger (show_day);

-- Refuses every change of what has been written.
CREATE TRIGGER ledger_rows_stay BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is never changed'); END;
CREATE TRIGGER ledger_rows_are_kept BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is never changed'); END;

-- What must be returned to the customers of paid orders because seats were cancelled, in minor units.
CREATE TABLE refunds_due (
    order_id INTEGER PRIMARY KEY,
    amount   INTEGER NOT NULL
) STRICT;

-- What the groups to begin with may do with tills. A group that someone has changed stays as it is.
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT g.id, p.permission
    FROM staff_groups g JOIN (
        SELECT 'tills.view' AS permission, 1 AS counter
        UNION ALL SELECT 'tills.pay', 1
        UNION ALL SELECT 'tills.add', 0
        UNION ALL SELECT 'tills.change', 0
        UNION ALL SELECT 'till_days.view', 1
        UNION ALL SELECT 'till_days.pay', 1
    ) p ON g.name = 'Manager' OR g.name = 'Counter' AND p.counter = 1
    WHERE g.version = 1
    AND EXISTS (SELECT 1 FROM group_permissions x WHERE x.group_id = g.id AND x.permission = 'orders.pay');
