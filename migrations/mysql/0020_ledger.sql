-- Where money is taken. The one with `is_online` 1 has the free tickets that customers confirm themselves.
CREATE TABLE IF NOT EXISTS tills (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(100) NOT NULL,
    is_online  TINYINT NOT NULL DEFAULT 0,
    is_retired TINYINT NOT NULL DEFAULT 0,
    version    BIGINT NOT NULL DEFAULT 1,
    UNIQUE KEY one_till_per_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A till on a business day, from its opening to its close. `last_number` is the number of its last entry in the ledger. What
-- a close has found is written once: the entries, the sums of their amounts, the cash that was expected and counted, and
-- a hash of all of it and of the till's previous close.
CREATE TABLE IF NOT EXISTS till_days (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    till_id     BIGINT NOT NULL,
    day         VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    currency    VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    opened_at   BIGINT NOT NULL,
    opened_by   BIGINT,
    last_number BIGINT NOT NULL DEFAULT 0,
    closed_at   BIGINT,
    closed_by   BIGINT,
    expected    BIGINT,
    counted     BIGINT,
    note        VARCHAR(200) NOT NULL DEFAULT '',
    hash        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    CONSTRAINT till_days_have_a_till FOREIGN KEY (till_id) REFERENCES tills (id),
    UNIQUE KEY one_day_of_a_till (till_id, day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Every movement of money and every free ticket. Rows are only added; a correction is a row of its own. Their numbers have no
-- gaps within a till's day. Amounts are in minor units, negative if money is returned. The rows of one act have the same
-- `act_id`. `day` is the business day of the payment, `show_day` that of the show at this moment.
CREATE TABLE IF NOT EXISTS ledger (
    till_day_id BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    kind        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    act_id      BIGINT NOT NULL,
    method      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount      BIGINT NOT NULL,
    tax_rate    BIGINT NOT NULL,
    tax         BIGINT NOT NULL,
    reported    BIGINT NOT NULL,
    admissions  BIGINT NOT NULL,
    currency    VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id    BIGINT,
    booking_id  BIGINT,
    show_id     BIGINT,
    seat        BIGINT,
    price_id    BIGINT,
    type_code   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    day         VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    show_day    VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    staff_id    BIGINT,
    at          BIGINT NOT NULL,
    note        VARCHAR(200) NOT NULL,
    PRIMARY KEY (till_day_id, number),
    CONSTRAINT ledger_has_till_days FOREIGN KEY (till_day_id) REFERENCES till_days (id),
    KEY ledger_of_an_order (order_id),
    KEY ledger_of_a_day (day),
    KEY ledger_of_a_show_day (show_day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What must be returned to the customers of paid orders because seats were cancelled, in minor units.
CREATE TABLE IF NOT EXISTS refunds_due (
    order_id BIGINT NOT NULL PRIMARY KEY,
    amount   BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What the groups to begin with may do with tills. A group that someone has changed stays as it is.
INSERT IGNORE INTO group_permissions (group_id, permission)
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
