-- Kinds of tickets, such as Adult. `code` is the name in the API and never changes. `tax_rate` is in hundredths of a percent
-- and included in every price. A companion ticket needs another ticket in its order. A type that is no longer sold is
-- retired.
CREATE TABLE ticket_types (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    code            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    place           INTEGER NOT NULL,
    sold_online     INTEGER NOT NULL,
    sold_at_counter INTEGER NOT NULL,
    min_per_order   INTEGER,
    max_per_order   INTEGER,
    proof           TEXT    NOT NULL,
    tax_rate        INTEGER NOT NULL,
    is_companion    INTEGER NOT NULL,
    is_retired      INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_ticket_type_per_code ON ticket_types (code);

-- A price card. `current_id` is its newest version, which new shows get; NULL until it has one.
CREATE TABLE price_cards (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    current_id INTEGER,
    is_retired INTEGER NOT NULL DEFAULT 0,
    version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_price_card_per_name ON price_cards (name);

-- The versions of price cards. Nothing changes a version, or a row of the next two tables, so whatever was sold can refer
-- to it.
CREATE TABLE card_versions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    card_id    INTEGER NOT NULL CONSTRAINT card_versions_have_a_card REFERENCES price_cards (id),
    number     INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by INTEGER
) STRICT;
CREATE UNIQUE INDEX one_card_version_per_number ON card_versions (card_id, number);

-- The ticket types of a version as they were when it was made.
CREATE TABLE card_types (
    version_id      INTEGER NOT NULL CONSTRAINT card_types_have_a_version REFERENCES card_versions (id),
    place           INTEGER NOT NULL,
    code            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    sold_online     INTEGER NOT NULL,
    sold_at_counter INTEGER NOT NULL,
    min_per_order   INTEGER,
    max_per_order   INTEGER,
    proof           TEXT    NOT NULL,
    tax_rate        INTEGER NOT NULL,
    is_companion    INTEGER NOT NULL,
    PRIMARY KEY (version_id, code)
) STRICT;

-- What a ticket of a type costs on a seat of a category, in minor units of the currency: `amount` is what the customer
-- pays, `tax` is included in it, and `reported` is what settlements with the distributor count.
CREATE TABLE prices (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL CONSTRAINT prices_have_a_version REFERENCES card_versions (id),
    category   TEXT    NOT NULL,
    type_code  TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    amount     INTEGER NOT NULL,
    reported   INTEGER NOT NULL,
    tax_rate   INTEGER NOT NULL,
    tax        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_price_per_category_and_type ON prices (version_id, category, type_code);

-- Which card a show gets unless someone chooses one: that of the first rule, by `place`, all of whose conditions apply.
-- `weekdays` has a digit for each day from 1, Monday, to 7; times are minutes after midnight; dates are YYYY-MM-DD, and all of
-- them mean the business day. An empty text or NULL is no condition.
CREATE TABLE price_rules (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    place      INTEGER NOT NULL,
    card_id    INTEGER NOT NULL CONSTRAINT price_rules_have_a_card REFERENCES price_cards (id),
    weekdays   TEXT    NOT NULL,
    from_time  INTEGER,
    until_time INTEGER,
    from_date  TEXT    NOT NULL,
    until_date TEXT    NOT NULL,
    format     TEXT    NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1
) STRICT;

-- The version of the price card by which a show is sold; NULL: without prices. The rules choose it while `card_by_rule` is 1.
ALTER TABLE shows ADD COLUMN card_version_id INTEGER;
ALTER TABLE shows ADD COLUMN card_by_rule INTEGER NOT NULL DEFAULT 1;
CREATE INDEX shows_by_card ON shows (card_version_id);

-- What a held or booked seat costs; NULL: it has no price.
ALTER TABLE bookings ADD COLUMN price_id INTEGER;

-- What the groups to begin with may do with prices. A group that someone has changed stays as it is.
INSERT OR IGNORE INTO group_permissions (group_id, permission)
    SELECT g.id, p.permission
    FROM staff_groups g JOIN (
        SELECT 'price_cards.view' AS permission, 1 AS programme
        UNION ALL SELECT 'price_cards.add', 0
        UNION ALL SELECT 'price_cards.change', 0
        UNION ALL SELECT 'price_cards.delete', 0
        UNION ALL SELECT 'price_rules.view', 1
        UNION ALL SELECT 'price_rules.change', 0
        UNION ALL SELECT 'ticket_types.view', 1
        UNION ALL SELECT 'ticket_types.add', 0
        UNION ALL SELECT 'ticket_types.change', 0
        UNION ALL SELECT 'ticket_types.delete', 0
    ) p ON g.name = 'Manager' OR g.name = 'Programme' AND p.programme = 1
    WHERE g.version = 1
    AND EXISTS (SELECT 1 FROM group_permissions x WHERE x.group_id = g.id AND x.permission = 'shows.change');
