-- Kinds of tickets, such as Adult. `code` is the name in the API and never changes. `tax_rate` is in hundredths of a percent
-- and included in every price. A companion ticket needs another ticket in its order. A type that is no longer sold is
-- retired.
CREATE TABLE IF NOT EXISTS ticket_types (
    id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code            VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name            VARCHAR(100) NOT NULL,
    place           BIGINT NOT NULL,
    sold_online     TINYINT NOT NULL,
    sold_at_counter TINYINT NOT NULL,
    min_per_order   BIGINT,
    max_per_order   BIGINT,
    proof           VARCHAR(200) NOT NULL,
    tax_rate        BIGINT NOT NULL,
    is_companion    TINYINT NOT NULL,
    is_retired      TINYINT NOT NULL DEFAULT 0,
    version         BIGINT NOT NULL DEFAULT 1,
    UNIQUE KEY one_ticket_type_per_code (code)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A price card. `current_id` is its newest version, which new shows get; NULL until it has one.
CREATE TABLE IF NOT EXISTS price_cards (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(100) NOT NULL,
    current_id BIGINT,
    is_retired TINYINT NOT NULL DEFAULT 0,
    version    BIGINT NOT NULL DEFAULT 1,
    UNIQUE KEY one_price_card_per_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- The versions of price cards. Nothing changes a version, or a row of the next two tables, so whatever was sold can refer
-- to it.
CREATE TABLE IF NOT EXISTS card_versions (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    card_id    BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    currency   VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT NOT NULL,
    created_by BIGINT,
    CONSTRAINT card_versions_have_a_card FOREIGN KEY (card_id) REFERENCES price_cards (id),
    UNIQUE KEY one_card_version_per_number (card_id, number)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- The ticket types of a version as they were when it was made.
CREATE TABLE IF NOT EXISTS card_types (
    version_id      BIGINT NOT NULL,
    place           BIGINT NOT NULL,
    code            VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name            VARCHAR(100) NOT NULL,
    sold_online     TINYINT NOT NULL,
    sold_at_counter TINYINT NOT NULL,
    min_per_order   BIGINT,
    max_per_order   BIGINT,
    proof           VARCHAR(200) NOT NULL,
    tax_rate        BIGINT NOT NULL,
    is_companion    TINYINT NOT NULL,
    PRIMARY KEY (version_id, code),
    CONSTRAINT card_types_have_a_version FOREIGN KEY (version_id) REFERENCES card_versions (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a ticket of a type costs on a seat of a category, in minor units of the currency: `amount` is what the customer
-- pays, `tax` is included in it, and `reported` is what settlements with the distributor count.
CREATE TABLE IF NOT EXISTS prices (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    version_id BIGINT NOT NULL,
    category   VARCHAR(100) NOT NULL,
    type_code  VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    currency   VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount     BIGINT NOT NULL,
    reported   BIGINT NOT NULL,
    tax_rate   BIGINT NOT NULL,
    tax        BIGINT NOT NULL,
    CONSTRAINT prices_have_a_version FOREIGN KEY (version_id) REFERENCES card_versions (id),
    UNIQUE KEY one_price_per_category_and_type (version_id, category, type_code)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Which card a show gets unless someone chooses one: that of the first rule, by `place`, all of whose conditions apply.
-- `weekdays` has a digit for each day from 1, Monday, to 7; times are minutes after midnight; dates are YYYY-MM-DD, and all of
-- them mean the business day. An empty text or NULL is no condition.
CREATE TABLE IF NOT EXISTS price_rules (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    place      BIGINT NOT NULL,
    card_id    BIGINT NOT NULL,
    weekdays   VARCHAR(7) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    from_time  BIGINT,
    until_time BIGINT,
    from_date  VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    until_date VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    format     VARCHAR(255) NOT NULL,
    version    BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT price_rules_have_a_card FOREIGN KEY (card_id) REFERENCES price_cards (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- The version of the price card by which a show is sold; NULL: without prices. The rules choose it while `card_by_rule` is 1.
ALTER TABLE shows ADD COLUMN card_version_id BIGINT, ADD KEY shows_by_card (card_version_id);
ALTER TABLE shows ADD COLUMN card_by_rule TINYINT NOT NULL DEFAULT 1;

-- What a held or booked seat costs; NULL: it has no price.
ALTER TABLE bookings ADD COLUMN price_id BIGINT;

-- What the groups to begin with may do with prices. A group that someone has changed stays as it is.
INSERT IGNORE INTO group_permissions (group_id, permission)
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
